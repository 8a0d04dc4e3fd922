"""Massive (Polygon): its WebSocket feeds, its REST API, and a simulator that speaks like it."""
