"""How events are to be acknowledged."""

from enum import StrEnum


class AckMode(StrEnum):
    """``auto`` takes fast ingest where server and stream allow it, else acknowledgements per message."""

    AUTO = "auto"
    FAST = "fast"
    MESSAGE = "message"
