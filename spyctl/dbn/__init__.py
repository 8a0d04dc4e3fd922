"""Databento's files and historical API: bytes of DBN in, canonical columns out."""
