"""Something that happened and is worth a line."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """``ns`` is when (Unix ns), of the market where ``of_event`` is set, else of this machine; ``level`` is info,
    warning, error or debug."""

    ns: int
    text: str
    level: str = "info"
    of_event: bool = False
