"""Databento's live gateway: its protocol, the futures feed over it, and a simulator that speaks it."""
