"""How far a run is known to be stored, and which one is meant to go on from there."""

from dataclasses import dataclass, field

LAST_RUN = "last"  # the run of a command that began last


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Every event up to ``position`` is stored, the last of them at or before the sequence ``seq``.

    No later event of the run has a sequence up to ``seq``. ``mark`` is that of the message there, whoever sent it, ""
    where it is unknown.
    """

    position: int = 0
    seq: int = 0
    mark: str = field(default="", compare=False)

    def may_follow(self, other: "Checkpoint") -> bool:
        """Whether a stream can have come from another checkpoint to this one: each event takes a sequence."""
        return self.seq - other.seq >= self.position - other.position


BEGINNING = Checkpoint()


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A JetStream batch whose first message is the event at position ``first``.

    ``ends_seq`` is a sequence behind which nothing of it is stored, ``None`` while more may come.
    """

    name: str
    first: int
    ends_seq: int | None = None
