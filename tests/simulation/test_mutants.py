"""What the simulator sees: each protection of the product that is taken away is missed by a seed.

A change of what seeds draw needs other seeds here: the first that fails without the protection.
"""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from spyctl.bus.custody import Holdings
from spyctl.bus.frames import hpub_frames
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


@pytest.mark.parametrize(
    ("seed", "targets", "instead"),
    [
        (9122, ["spyctl.bus.acks.writer.Writer.fence"], b""),
        (9122, ["spyctl.bus.publishing.close_fence"], nothing),
        (627, ["spyctl.bus.acks.writer.Writer.proved"], yes),
        (9, ["spyctl.bus.publishing.refuse_broken", "spyctl.bus.reconcile.refuse_broken"], info),
        (501, [f"spyctl.bus.{room}.keeps" for room in ("acks.kept", "reconcile", "custody")], yes),
        (6, ["spyctl.bus.custody.Custody.account"], all_there),
        (289, ["spyctl.bus.acks.per_message.PerMessage._find_stored"], yes),
        (10, ["spyctl.bus.acks.fast_ingest.FastIngest._noted"], yes),
        (11, ["spyctl.bus.acks.per_message.hpub_frames"], other_ids),
        (222952, ["spyctl.bus.leases.Leases.look"], lambda _: None),
    ],
    ids=[
        "fence in messages", "fence closed", "proof of leases", "end of the stream at a resume", "marks", "account",
        "ids that are forgotten", "batch noted", "ids", "doubt after a sleep",
    ],
)  # fmt: skip
def test_a_seed_misses_what_is_taken_away(seed: int, targets: list[str], instead: bytes | Callable[..., Any]) -> None:
    replay(seed)
    patches = [patch(target, instead) for target in targets]
    for each in patches:
        each.start()
    try:
        with pytest.raises(UntrueError):
            replay(seed)
    finally:
        for each in patches:
            each.stop()
