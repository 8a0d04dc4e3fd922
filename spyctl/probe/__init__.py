"""What ``probe`` checks: key, plan, clock, sockets, NATS, stream and data."""
