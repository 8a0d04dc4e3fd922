"""What a stream holds of a run: what was done to it is named, and what fell out by its own limits is no loss."""

import asyncio
from typing import Any

import pytest

from spyctl.bus.checkpoint import BEGINNING, Checkpoint
from spyctl.bus.connection import ApiError
from spyctl.bus.custody import LOOK_S, Custody
from spyctl.bus.in_flight import Delivery
from spyctl.bus.mark import mark_of
from spyctl.bus.stream import Limits
from spyctl.errors import UnreachableError
from spyctl.timing.instants import DAY, SECOND
from tests.support.clock import FakeClock, JumpingClock
from tests.support.connection import ScriptedConnection
from tests.unit.bus.acks.streams import stream

GONE = ApiError(404, 10059, "stream not found")
MADE = "2025-12-16T14:30:00Z"


class Run:
    """A run that has 100 events acknowledged, in a stream that a test changes; ``held`` is what is counted of them."""

    def __init__(self, *, held: Any = 100, limits: Limits | None = None, replicas: int = 1, **changes: Any) -> None:
        self.clock = JumpingClock()
        self.delivery = Delivery(published=100, acked=100, first_seq=51, last_seq=150, ranks={0})
        self.config = {"subjects": ["a", "b"]}
        self.state = {"first_seq": 1, "last_seq": 150, "messages": 150, "bytes": 15_000}
        self.info: Any = {"created": MADE, "config": self.config, "state": self.state}
        counts = held if isinstance(held, list) else [held]
        self.connection = ScriptedConnection(
            {
                "STREAM.INFO.S": lambda _: self.info,
                "CONSUMER.CREATE.S.": [{"num_pending": count} for count in counts],
                "CONSUMER.DELETE.S.": {},
            }
        )
        as_it_was = stream(born=MADE, subjects=("a", "b"), limits=limits or Limits(), replicas=replicas)
        began_after = 50
        self.custody = Custody(
            self.connection.as_connection(), as_it_was, ["a", "b"], self.delivery, began_after,
            checkpoint=lambda: self.checkpoint, clock=self.clock,
        )  # fmt: skip
        self.checkpoint = BEGINNING
        self.state |= changes


async def test_a_stream_that_holds_everything_has_nothing_said_of_it() -> None:
    run = Run()
    holdings = await run.custody.account()
    assert (holdings.lost, holdings.expired, holdings.sentence) == (0, 0, "")
    request = next(request for subject, request in run.connection.asked if subject.startswith("CONSUMER.CREATE"))
    assert (request["config"]["opt_start_seq"], request["config"]["filter_subject"]) == (51, "a")


async def test_a_run_that_stored_nothing_asks_nothing() -> None:
    run = Run()
    run.delivery.acked = 0
    assert not (await run.custody.account()).sentence
    assert not run.connection.asked


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"first_seq": 121}, "lost all up to seq 120: it was purged, or its limits were lowered"),
        ({"last_seq": 70, "messages": 70}, "ends at seq 70, and the server had acknowledged up to 150"),
    ],
    ids=["purged", "taken back"],
)
async def test_acknowledged_events_that_are_not_there_are_lost_and_what_was_done_is_named(
    change: dict[str, int], said: str
) -> None:
    run = Run(held=30, **change)
    holdings = await run.custody.account()
    assert (run.delivery.lost, run.delivery.expired) == (70, 0)
    assert holdings.sentence == f"70 of 100 acknowledged events are not in stream S: stream S {said}"


async def test_what_others_publish_does_not_make_up_for_what_is_gone() -> None:
    holdings = await Run(held=120, first_seq=60).custody.account()
    assert holdings.sentence == (
        "1 of 100 acknowledged events are not in stream S: "
        "stream S lost all up to seq 59: it was purged, or its limits were lowered"
    )
    run = Run(held=120)
    run.connection.held = lambda: [("a", b"of somebody else", "")] * 150
    run.checkpoint = Checkpoint(100, 150, mark_of("a", b"event 100"))
    assert (await run.custody.account()).lost == 1
    run.checkpoint = Checkpoint(100, 150, mark_of("a", b"of somebody else"))
    assert (await run.custody.account()).lost == 0


async def test_a_loss_for_no_known_reason_is_a_loss() -> None:
    holdings = await Run(held=99).custody.account()
    assert holdings.sentence == "1 of 100 acknowledged events are not in stream S: the server no longer has them"


async def test_of_a_stream_that_was_made_anew_all_is_counted() -> None:
    run = Run(held=40)
    run.info = run.info | {"created": "later"}
    holdings = await run.custody.account()
    assert holdings.sentence.endswith(
        "60 of 100 acknowledged events are not in stream S: stream S was deleted and made anew"
    )
    request = next(request for subject, request in run.connection.asked if subject.startswith("CONSUMER.CREATE"))
    assert request["config"]["opt_start_seq"] == 1


async def test_of_a_stream_that_is_gone_nothing_is_held() -> None:
    run = Run()
    run.info = GONE
    holdings = await run.custody.account()
    assert (holdings.lost, holdings.changes) == (100, ("stream S was deleted",))


@pytest.mark.parametrize(
    ("limits", "later_ns"),
    [(Limits(max_messages=30), 0), (Limits(max_bytes=16_000), 0), (Limits(max_age_ns=DAY), DAY)],
    ids=["messages", "bytes", "age"],
)
async def test_what_fell_out_by_the_limits_that_the_stream_had_is_no_loss_and_told(
    limits: Limits, later_ns: int
) -> None:
    run = Run(held=30, limits=limits, first_seq=121, messages=30)
    run.info["config"] |= {
        "max_msgs": limits.max_messages, "max_bytes": limits.max_bytes, "max_age": limits.max_age_ns
    }  # fmt: skip
    run.clock.advance(later_ns)
    holdings = await run.custody.account()
    assert (run.delivery.lost, run.delivery.expired, run.custody.changes) == (0, 70, [])
    assert holdings.sentence == "70 of 100 acknowledged events fell out of stream S by its own limits"


async def test_what_is_missing_behind_the_first_message_did_not_fall_out() -> None:
    run = Run(held=20, limits=Limits(max_messages=30), first_seq=121, messages=30)
    await run.custody.account()
    assert (run.delivery.lost, run.delivery.expired) == (10, 70)


async def test_limits_that_were_lowered_meanwhile_are_no_excuse() -> None:
    run = Run(held=30, first_seq=121, messages=30)
    run.info["config"]["max_msgs"] = 30
    holdings = await run.custody.account()
    assert run.delivery.lost == 70
    assert "has other limits: it keeps only the newest 30 messages" in holdings.sentence


async def test_a_new_leader_is_asked_until_its_count_stands_still() -> None:
    run = Run(held=[90, 95, 100], replicas=3)
    assert not (await run.custody.account()).lost
    run = Run(held=[90, 95, 95], replicas=3)
    assert (await run.custody.account()).lost == 5


async def test_a_server_that_is_away_is_asked_again_for_a_while() -> None:
    run = Run()
    answers = [UnreachableError("away"), ApiError(503, 10008, "no leader"), run.info]
    run.connection.answers["STREAM.INFO.S"] = answers
    assert not (await run.custody.account()).lost
    run.connection.answers["STREAM.INFO.S"] = UnreachableError("away")
    with pytest.raises(UnreachableError, match="it cannot be told what the stream holds: away"):
        await run.custody.account()


async def test_what_is_wrong_is_told_once() -> None:
    run = Run()
    told: list[str] = []
    clock, troubles = FakeClock(), ["", "a", "a", "", "a"]
    run.custody._clock, run.custody._trouble = clock, lambda: troubles.pop(0)
    looking = asyncio.create_task(run.custody.keep_looking(told.append))
    await clock.run(5 * round(LOOK_S * SECOND), round(LOOK_S * SECOND))
    assert told == ["a", "a"]
    looking.cancel()


async def test_what_is_done_to_the_stream_is_told_once_within_seconds() -> None:
    run = Run(num_deleted=3)
    told: list[str] = []
    clock = FakeClock()
    run.custody._clock = clock
    looking = asyncio.create_task(run.custody.keep_looking(told.append))

    async def look() -> list[str]:
        await clock.run(round(LOOK_S * SECOND), round(LOOK_S * SECOND))
        said, told[:] = list(told), []
        return said

    assert await look() == []
    run.state["num_deleted"] = 4
    assert await look() == ["stream S had messages deleted"]
    run.config["subjects"] = ["b"]
    assert await look() == ["stream S no longer takes a"]
    run.info = UnreachableError("away")
    assert await look() == []
    run.info = GONE
    assert await look() == ["stream S was deleted"]
    assert await look() == []
    run.info = {"created": "later", "config": run.config, "state": run.state}
    assert await look() == ["stream S was deleted and made anew"]
    assert await look() == []
    looking.cancel()
