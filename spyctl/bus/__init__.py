"""Everything NATS: connection, stream, run records, the one publisher, the embedded server."""
