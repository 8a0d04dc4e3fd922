"""What the simulator sees: each protection of the product that is taken away is missed by a seed.

A change of what seeds draw needs other seeds here: the first that fails without the protection.
"""

from typing import Any
from unittest.mock import patch

import pytest

from spyctl.bus.custody import Holdings
from spyctl.bus.frames import hpub_frame, hpub_frames
from tests.simulation.history import replay
from tests.simulation.judge import UntrueError


async def yes(*_: Any, **__: Any) -> bool:
    return True


async def nothing(*_: Any, **__: Any) -> None:
    pass


async def info(connection: Any, record: Any) -> Any:
    return await connection.api(f"STREAM.INFO.{record.stream}")


async def all_there(custody: Any) -> Holdings:
    return Holdings("S", custody._delivery.acked)


def other_ids(batch: Any, subjects: Any, reply: str, first: int, prefix: str, *, more: bytes = b"") -> bytearray:
    return hpub_frames(batch, subjects, reply, first, f"{prefix}{reply[-3:-1]}", more=more)


def unfenced(batch: Any, subjects: Any, reply: str, _: bytes) -> bytes:
    return hpub_frame(batch, subjects, reply, b"")


def overtaking(line: Any, position: int) -> bool:
    return not line.broken and not line._turn.locked() and position == line.next


@pytest.mark.parametrize(
    ("seed", "targets", "instead"),
    [
        (57, ["spyctl.bus.acks.fast_ingest.hpub_frame"], unfenced),
        (2670, ["spyctl.bus.acks.writer.Writer.fence"], b""),
        (57, [f"spyctl.bus.{room}.close_fence" for room in ("publishing", "reconcile")], nothing),
        (233, ["spyctl.bus.acks.writer.Writer.fence_off"], yes),
        (1013, ["spyctl.bus.acks.writer.Writer.proved"], yes),
        (88, ["spyctl.bus.publishing.refuse_broken", "spyctl.bus.reconcile.refuse_broken"], info),
        (11, [f"spyctl.bus.{room}.keeps" for room in ("acks.kept", "reconcile", "custody")], yes),
        (1287, ["spyctl.bus.in_flight.InFlight.receded"], property(lambda _: False, lambda *_: None)),
        (10533, ["spyctl.bus.checkpoint.Checkpoint.may_follow"], lambda *_: True),
        (59, ["spyctl.bus.custody.Custody.account"], all_there),
        (328, ["spyctl.bus.acks.per_message.PerMessage._find_stored"], yes),
        (8, ["spyctl.bus.acks.fast_ingest.FastIngest._noted"], yes),
        (61, ["spyctl.bus.acks.per_message.hpub_frames"], other_ids),
        (546, ["spyctl.bus.acks.line.Line.may_send"], overtaking),
    ],
    ids=[
        "fence of a batch", "fence of a message", "fence closed", "fence shifted", "proof of leases",
        "end of the stream at a resume", "marks", "receded", "receded batch", "account", "ids that are forgotten",
        "batch noted", "ids", "turns",
    ],
)  # fmt: skip
def test_a_seed_misses_what_is_taken_away(seed: int, targets: list[str], instead: Any) -> None:
    replay(seed)
    patches = [patch(target, instead, create=True) for target in targets]
    for each in patches:
        each.start()
    try:
        with pytest.raises(UntrueError):
            replay(seed)
    finally:
        for each in patches:
            each.stop()
