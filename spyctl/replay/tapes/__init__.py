"""Tapes: what a stream held, as lines of JSON in a file for each trading day."""
