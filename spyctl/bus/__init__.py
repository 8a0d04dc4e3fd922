"""Everything NATS: connection, stream, run records, the one publisher, the embedded server."""

from spyctl.bus.stand_in import defer_import

defer_import("aiohttp")  # before any module of this package imports nats
