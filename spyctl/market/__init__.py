"""The market's data: events, subjects, columns, bytes, symbols and sessions; no vendor, no NATS."""
