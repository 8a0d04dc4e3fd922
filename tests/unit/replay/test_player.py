"""A replay under control: what is published after each command, whatever the commands are."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spyctl.dbn.sort_times import Selection
from spyctl.errors import ControlError, SpyctlError, UsageError
from spyctl.market.columns import UNDEF_PRICE
from spyctl.market.events import ResetReason
from spyctl.replay import segments
from spyctl.replay.commands import Step, parse_command
from spyctl.replay.control import PlayState
from spyctl.replay.file_source import FileSource
from spyctl.replay.result import summary_of
from spyctl.replay.segments import Journal
from spyctl.replay.sightings import Trouble
from spyctl.summary import StopReason, Verified
from spyctl.timing.clock import MAX_SPEED, REAL_TIME, Speed
from tests.support.records import MS, SECOND, T0, book, trade, write_file
from tests.support.replays import RESETS, Controlled, Straight, straight_on
from tests.support.waiting import eventually

TRADES, BOOKS = "market.futures.trades", "market.futures.mbp10"
Message = tuple[str, bytes]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    sizes = [60 if i in (7, 31) else 3 for i in range(50)]
    write_file(folder, "trades", [trade(T0 + i * 200 * MS, size=size, sequence=i) for i, size in enumerate(sizes)])
    write_file(folder, "mbp-10", [book(T0 + i // 2 * 20 * MS, sequence=1_000 + i) for i in range(1_000)])
    return folder


@pytest.fixture(scope="module")
def straight(root: Path) -> Straight:
    return straight_on(root)


def post(replay: Controlled, words: str) -> "asyncio.Future[dict[str, Any]]":
    return replay.replay.control.post(parse_command(words.split()))


def seq(message: Message) -> int:
    return int(orjson.loads(message[1])["seq"])


async def test_nothing_is_published_while_it_is_paused(root: Path, straight: Straight) -> None:
    async with Controlled(root) as replay:
        await replay.do("status")
        assert (replay.events, replay.replay.state) == ([], PlayState.PAUSED)
        await replay.do("resume")
        await replay.end()
        assert replay.events == straight.messages
    assert replay.replay.complete


@pytest.mark.parametrize(
    ("steps", "expected"), [("step", 1), ("step 7", 7), ("step 2 trades", 22), ("step 1 seconds", 108)]
)
async def test_a_step_publishes_so_much_and_stays_paused(root: Path, steps: str, expected: int) -> None:
    async with Controlled(root) as replay:
        status = await replay.do(steps)
        assert (status["published"], status["state"]) == (expected, "paused")
        assert len(replay.events) == expected
        assert [message[0] for message in replay.events].count(TRADES) == {22: 2, 108: 6}.get(expected, 1)


async def test_a_seek_tells_consumers_and_gives_them_the_book(root: Path, straight: Straight) -> None:
    messages, times = straight.messages, straight.times
    async with Controlled(root) as replay:
        await replay.do("step 5")
        await replay.do("seek +5s")
        reset, seed, *events = replay.events[5:]
        assert (reset[0], events) == (RESETS, [])
        place = bisect_left(times, times[4] + 5 * SECOND)
        last_book = max(i for i in range(place) if messages[i][0] == BOOKS)
        assert seed == messages[last_book]
        told = orjson.loads(reset[1])
        assert (told["reason"], told["segment"], told["run_id"]) == ("seek", 1, "r")
        assert (told["from_ns"], told["to_ns"], told["ts_event_ns"]) == (times[4], times[4] + 5 * SECOND, told["to_ns"])
        await replay.do("resume")
        await replay.end()
        assert replay.events[7:] == messages[place:]
    counts = summary_of(replay.replay).document()
    assert (counts["segments"], counts["seeks"], counts["seeds"], counts["resets"]) == (2, 1, 1, 1)
    assert counts["published"] == counts["acked"] == 5 + len(messages) - place
    assert counts["read"] == counts["published"] + counts["skipped"]
    assert (counts["digest"], [len(each["digest"]) for each in counts["played"]]) == (None, [32, 32])
    assert summary_of(replay.replay).exit_code == 0


async def test_undo_goes_back_to_where_the_seek_began(root: Path, straight: Straight) -> None:
    async with Controlled(root) as replay:
        await replay.do("step 6")  # within an instant
        await replay.do("seek +3s")
        await replay.do("undo")
        before = len(replay.events)
        await replay.do("step 3")
        assert replay.events[before:] == straight.messages[6:9]
        with pytest.raises(ControlError, match="no seek to undo"):
            await replay.do("undo")


@pytest.mark.parametrize(
    ("back", "first"), [("step -1", 499), ("step -499", 1), ("step -5000", 0), ("step -2 trades", 462)]
)
async def test_a_step_back_goes_before_so_many(root: Path, straight: Straight, back: str, first: int) -> None:
    async with Controlled(root) as replay:
        await replay.do("step 500")
        await replay.do(back)
        before = len(replay.events)
        await replay.do("step 4")
        assert replay.events[before:] == straight.messages[first : first + 4]
        assert [reset["reason"] for reset in replay.resets] == ["step"]


async def test_the_next_and_the_previous_large_trade(root: Path) -> None:
    async with Controlled(root) as replay:
        for words, place in (("next trade 50", 1.4), ("next trade 50", 6.2), ("previous trade 50", 1.4)):
            assert (await replay.do(words))["event_ns"] == T0 + round(place * SECOND)
        await replay.do("step")
        assert seq(replay.events[-1]) == 7
        assert (await replay.do("previous trade 50"))["event_ns"] == T0 + 1_400 * MS
        await replay.do("next trade 50")
        with pytest.raises(ControlError, match="no trade of 50 lots or more after"):
            await replay.do("next trade 50")
        assert replay.replay.state is PlayState.PAUSED


async def test_a_loop_plays_its_stretch_until_it_is_switched_off(root: Path, straight: Straight) -> None:
    messages, times = straight.messages, straight.times
    first, last = bisect_left(times, times[0] + 1 * SECOND), bisect_left(times, times[0] + 2 * SECOND)
    async with Controlled(root) as replay:
        await replay.do("mark A")
        await replay.do("seek +2s")
        await replay.do("mark B")
        await replay.do("seek A")
        await replay.do("seek +1s")
        await replay.do("mark A2")
        await replay.do("loop A2 B")
        before = len(replay.events)
        for _ in range(3):
            await replay.do(f"step {last - first}")
        turns = len(messages[first:last])
        rest = replay.events[before:]
        stretch = [message for message in rest if message in messages[first:last]]
        assert rest[:turns] == messages[first:last]
        assert rest[turns][0] == RESETS
        assert [reset["reason"] for reset in replay.resets][-2:] == ["loop", "loop"]
        assert len(stretch) >= 3 * turns
        await replay.do("loop off")
        await replay.do("resume")
        await replay.end()
        assert replay.events[-1] == messages[-1]


async def test_a_plan_is_played_as_often_as_asked(root: Path, straight: Straight) -> None:
    async with Controlled(root, start_paused=False, loops=3) as replay:
        await replay.end()
    events = [message for message in replay.events if message[0] != RESETS]
    assert len(events) == 3 * len(straight.messages)
    assert [reset["reason"] for reset in replay.resets] == ["loop", "loop"]


async def test_a_warm_up_comes_before_the_place_between_two_resets(root: Path, straight: Straight) -> None:
    messages, times = straight.messages, straight.times
    async with Controlled(root, warm_up_ns=SECOND) as replay:
        await replay.do("resume")
        await replay.do("seek +5s")
        await replay.do("pause")
    warm, start = replay.resets[-2:]
    assert (warm["reason"], start["reason"]) == ("warm-up", "start")
    assert start["to_ns"] - warm["to_ns"] == SECOND
    at = [i for i, message in enumerate(replay.events) if message[0] == RESETS]
    between = replay.events[at[-2] + 2 : at[-1]]
    assert between == messages[bisect_left(times, warm["to_ns"]) : bisect_left(times, start["to_ns"])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("seek 03:00", "03:00 is outside the plan"),
        ("seek +1h", "is outside the plan"),
        ("goto nowhere", "there is no mark 'nowhere'"),
        ("speed 0.0001", "0.0001× is too slow"),
        ("speed fast", "'fast' is not a speed"),
        ("loop 09:30 09:30", "has no length"),
        ("next roll", "there is no roll after this place"),
        ("fly", "there is no command 'fly'"),
        ("step 0", "a step of 0 is not possible"),
        ("step x", "step was not understood"),
        ("mark 12", "cannot name a mark"),
        ("pause now", "pause was not understood"),
    ],
)
async def test_what_cannot_be_obeyed_is_one_sentence_and_changes_nothing(root: Path, words: str, message: str) -> None:
    async with Controlled(root) as replay:
        await replay.do("step 3")
        with pytest.raises((UsageError, ControlError), match=message.replace("+", r"\+")):
            await replay.do(words)
        assert (len(replay.events), replay.replay.state) == (3, PlayState.PAUSED)


async def test_a_step_at_max_speed_asks_for_a_pause(root: Path) -> None:
    async with Controlled(root, start_paused=False) as replay:
        with pytest.raises(ControlError, match="at max speed there is no next event"):
            await replay.do("step")


async def test_a_command_for_a_replay_that_has_ended_is_refused(root: Path) -> None:
    async with Controlled(root) as replay:
        await replay.do("stop")
        await replay.end()
        with pytest.raises(ControlError, match="run r has ended"):
            await replay.do("pause")
    assert (replay.replay.stopped_by, replay.replay.complete) == ("stop", False)


@pytest.mark.parametrize(
    ("ends", "why"), [(True, "the replay ended before the search did"), (False, "ended by another command")]
)
async def test_a_search_that_is_cut_off_says_by_what(
    root: Path, monkeypatch: pytest.MonkeyPatch, ends: bool, why: str
) -> None:
    async with Controlled(root) as replay:
        others: list[asyncio.Future[dict[str, Any]]] = []

        async def prepare(_: FileSource) -> None:
            if ends:
                replay.replay.stop(StopReason.CTRL_C)
            else:
                others.append(post(replay, "mark x"))

        monkeypatch.setattr(FileSource, "prepare", prepare)
        with pytest.raises(ControlError, match=why):
            await replay.do("next late")
        await asyncio.gather(*others)
        if ends:
            await replay.end()


async def test_steps_given_at_once_are_made_one_after_the_other(root: Path, straight: Straight) -> None:
    async with Controlled(root) as replay:
        answers = await asyncio.gather(*(replay.do(words) for words in ("step 3", "step 2 trades", "step", "step -1")))
        assert [answer["published"] for answer in answers] == [3, 43, 44, 44]
        assert replay.events[:44] == straight.messages[:44]


@pytest.mark.parametrize(("words", "state"), [("pause", "paused"), ("resume", "playing"), ("toggle", "playing")])
async def test_a_pause_and_a_resume_end_a_step(root: Path, words: str, state: str) -> None:
    async with Controlled(root, speed=REAL_TIME) as replay:
        stepping = replay.replay.control.post(Step(900_000))
        answer = await replay.do(words)
        assert (answer["state"], (await stepping)["published"]) == (state, 0)


async def test_seconds_are_stepped_through_a_quiet_stretch(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0), trade(T0 + 3_500 * MS), trade(T0 + 4_000 * MS)])
    async with Controlled(tmp_path) as replay:
        found = [await replay.do("step 1 seconds") for _ in range(4)]
    assert [answer["published"] for answer in found] == [1, 1, 1, 3]
    assert [(answer["event_ns"] - T0) // MS for answer in found] == [1_000, 2_000, 3_000, 4_000]


async def test_nobody_waits_for_what_a_count_or_a_stop_ended(root: Path) -> None:
    async with Controlled(root, count=5) as counted:
        await counted.do("step 5")
        with pytest.raises(ControlError, match="run r has ended"):
            await counted.do("seek +1s")
    async with Controlled(root) as stopped:
        stepping, seeking = (post(stopped, words) for words in ("step", "seek +1s"))
        await asyncio.sleep(0)
        stopped.replay.stop(StopReason.SIGTERM)
        await stopped.end()
        for answer in (stepping, seeking):
            with suppress(ControlError):
                await asyncio.wait_for(answer, 1)
        with pytest.raises(ControlError, match="run r has ended"):
            await stopped.do("pause")


async def test_at_the_end_of_a_loop_a_pause_is_one(root: Path, straight: Straight) -> None:
    async with Controlled(root) as replay:
        await replay.do("loop 09:30:00 09:30:00.1")
        await replay.do("step 11")
        assert (len(replay.events), len(replay.resets)) == (11, 0)
        assert (await replay.do("step 12"))["published"] == 23  # goes on in the next turn
        assert [seq(message) for message in replay.events[11:] if message[0] == TRADES] == [0, 0]
        assert [reset["reason"] for reset in replay.resets] == ["loop", "loop"]


async def test_a_loop_without_events_does_not_turn_for_ever(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0), trade(T0 + 10 * SECOND), trade(T0 + 20 * SECOND)])
    async with Controlled(tmp_path) as replay:
        await replay.do("loop 09:30:05 09:30:06")
        await replay.do("resume")
        await replay.end()
    assert [reset["reason"] for reset in replay.resets] == ["loop"]
    assert len(replay.events) == 4


async def test_a_warm_up_is_played_though_it_is_paused_and_a_step_waits_for_its_end(
    root: Path, straight: Straight
) -> None:
    async with Controlled(root, warm_up_ns=SECOND) as replay:
        seeking, stepping = (post(replay, words) for words in ("seek 09:30:05", "step"))
        status = await seeking
        assert (status["state"], status["event_ns"]) == ("paused", T0 + 5 * SECOND)
        assert [reset["reason"] for reset in replay.resets][-2:] == ["warm-up", "start"]
        assert (await stepping)["published"] == status["published"] + 1


async def test_a_run_that_is_killed_in_a_warm_up_goes_on_in_it(root: Path, straight: Straight) -> None:
    async with Controlled(root, warm_up_ns=SECOND) as first:
        await first.do("seek +5s")
        await first.do("resume")
        await first.end()
    journal = next(journal for journal in map(Journal.of, first.journals) if journal.segments[-1].number == 2)
    position = journal.segments[-1].first + 20
    async with Controlled(root, journal=journal, skip=position, start_paused=False) as second:
        await second.end()
    told = [(reset["reason"], reset["to_ns"]) for reset in second.resets]
    assert told == [("start", first.resets[-1]["to_ns"])]
    events = [message for message in second.events if message[0] != RESETS]
    assert events == [message for message in first.events[position:] if message[0] != RESETS]


@pytest.mark.parametrize(
    ("begun_s", "reasons"),
    [(4, ["loop"] * 3), (8, [])],
)
async def test_a_loop_outlives_the_process(root: Path, straight: Straight, begun_s: int, reasons: list[str]) -> None:
    """A run that was killed inside its loop turns on in it; one that had gone past it does not come back."""
    loop = "loop 09:30:03 09:30:06"
    async with Controlled(root) as first:
        await first.do(loop)
        await first.do(f"seek +{begun_s}s")
        await first.do("step 30")
        journal = Journal.of(first.journals[-1])
        position = len(first.events)
    async with Controlled(root, journal=journal, skip=position, start_paused=False) as second:
        await eventually(lambda: len(second.resets) >= len(reasons))
        await second.do("loop off") if reasons else None
        async with asyncio.timeout(20):
            await second.end()
    assert [reset["reason"] for reset in second.resets][: len(reasons)] == reasons
    assert {reset["to_ns"] for reset in second.resets} <= {T0 + 3 * SECOND}
    assert Journal.of((second.journals or first.journals)[-1]).loop == (
        None if reasons else (T0 + 3 * SECOND, T0 + 6 * SECOND)
    )
    if not reasons:
        assert second.events == straight.messages[-len(second.events) :]


async def test_a_run_of_more_jumps_than_are_kept_is_verified_as_far_as_they_go(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_KEPT", 3)
    async with Controlled(root) as replay:
        for _ in range(6):
            await replay.do("seek 09:30:05")
            await replay.do("step 10")

    async def stored() -> AsyncIterator[list[tuple[int, str, bytes]]]:
        messages = [(seq, *message) for seq, message in enumerate(replay.events, 1)]
        for start in range(0, len(messages), 7):
            yield messages[start : start + 7]

    await replay.replay.verify(stored())
    kept = 3 * (1 + 1 + 10)  # a reset, a seed, ten events
    assert replay.replay.verified == Verified(kept, unchecked=len(replay.events) - kept)


async def test_what_is_rejected_counts_once_and_only_where_it_was_reached(tmp_path: Path) -> None:
    trades = [trade(T0 + i * 200 * MS, price=UNDEF_PRICE if i == 25 else 6_815_000_000_000) for i in range(50)]
    write_file(tmp_path, "trades", trades)
    async with Controlled(tmp_path) as replay:
        for words in ("seek 09:30:02", "step 2", "seek 09:30:01", "step 2", "seek 09:30:03", "step", "stop"):
            await replay.do(words)
        await replay.end()
    early = summary_of(replay.replay)
    assert (early.events.rejected, early.exit_code) == (0, 0)
    assert early.events.read == early.events.published + early.details.held + early.details.jumps.skipped
    async with Controlled(tmp_path) as replay:
        for words in ("seek 09:30:06", "step", "seek 09:30:04", "resume"):
            await replay.do(words)
        await replay.end()
    assert summary_of(replay.replay).events.rejected == 1


async def test_a_stall_is_remembered_where_it_was(root: Path) -> None:
    async with Controlled(root, speed=REAL_TIME) as replay:
        publish = replay.sink.publish

        async def slow(batch: Any) -> None:
            before = len(replay.events)
            await publish(batch)
            if before < 500 <= len(replay.events):
                replay.clock.advance(3 * SECOND)

        replay.sink.publish = slow  # type: ignore[method-assign]
        await replay.do("resume")
        await replay.end()
    (stall_ns,) = replay.replay.progress.sightings.places(Trouble.STALL)
    assert replay.replay.pace.stalls == 1
    assert 4 * SECOND < stall_ns - T0 < 6 * SECOND


async def test_a_warm_up_may_begin_before_the_plan(root: Path, straight: Straight) -> None:
    selection = Selection(start_ns=T0 + 4 * SECOND)
    async with Controlled(root, warm_up_ns=SECOND, selection=selection, start_paused=False) as replay:
        await replay.end()
    first, start = bisect_left(straight.times, T0 + 3 * SECOND), bisect_left(straight.times, T0 + 4 * SECOND)
    events = [message for message in replay.events if message[0] != RESETS]
    assert events[1:] == straight.messages[first:]  # behind the seed
    assert [reset["to_ns"] for reset in replay.resets] == [T0 + 3 * SECOND, T0 + 4 * SECOND]
    assert len(straight.messages) - start < len(events)


async def test_a_seek_in_a_warm_up_ends_it_and_both_are_answered(root: Path) -> None:
    async with Controlled(root, warm_up_ns=SECOND) as replay:
        first, second = post(replay, "seek 09:30:05"), post(replay, "seek 09:30:08")
        await asyncio.wait_for(first, 5)
        assert (await second)["event_ns"] == T0 + 8 * SECOND


# --- any sequence of commands

COMMANDS = st.one_of(
    st.builds("step {}".format, st.integers(1, 200)),
    st.builds("step -{}".format, st.integers(1, 300)),
    st.builds("step {} trades".format, st.integers(1, 5)),
    st.builds("step -{} trades".format, st.integers(1, 9)),
    st.builds("step {} seconds".format, st.integers(-2, 2).filter(bool)),
    st.builds("seek {:+d}ms".format, st.integers(-6_000, 6_000)),
    st.sampled_from(
        ["undo", "next trade 50", "previous trade 50", "mark", "goto m1", "loop m1 m2", "loop off", "pause", "faster",
         "speed 10", "max", "status"]
    ),
)  # fmt: skip


def check(replay: Controlled, messages: list[Message], times: list[int]) -> None:
    """Each segment is a stretch of the whole, from its place on, after the book before it."""
    segments: list[list[Message]] = [[]]
    for message in replay.events:
        if message[0] == RESETS:
            segments.append([])
        segments[-1].append(message)
    journal = replay.replay.track.journal
    assert len(segments) == len(journal.segments)
    for part, segment in zip(segments, journal.segments, strict=True):
        first = bisect_left(times, segment.cursor.sort_ns) + segment.cursor.ordinal
        prelude = part[: segment.prelude]
        assert part[segment.prelude :] == messages[first : first + len(part) - segment.prelude]
        books = [i for i in range(first) if messages[i][0] == BOOKS]
        seeded = bool(books and prelude) and segment.reason is not ResetReason.START
        assert prelude[1:] == ([messages[books[-1]]] if seeded else [])
    made = [
        message
        for piece in replay.replay._player.script.pieces(journal, 0)
        for message in zip([0] * len(piece), piece.payloads(), strict=True)
    ]
    assert [payload for _, payload in made][: len(replay.events)] == [payload for _, payload in replay.events]
    track = replay.replay.track
    assert track.read == track.published + track.held + track.skipped
    assert track.published + track.seeds + track.resets == len(replay.events)
    assert track.published == track.acked


@settings(max_examples=60, deadline=None)
@example(["seek +9800ms", "step 200", "step 200"])
@example(["step 7", "seek +2000ms", "step -3"])
@given(st.lists(COMMANDS, max_size=12))
def test_any_sequence_of_commands(root: Path, straight: Straight, commands: list[str]) -> None:
    async def play() -> None:
        async with Controlled(root) as replay:
            for words in commands:
                if replay.running is not None and replay.running.done():
                    break
                with suppress(SpyctlError):
                    await replay.do(words)
            check(replay, straight.messages, straight.times)

    asyncio.run(play())


OPTIONS = st.fixed_dictionaries(
    {
        "speed": st.sampled_from([MAX_SPEED, REAL_TIME, Speed(100.0)]),
        "warm_up_ns": st.sampled_from([0, 500 * MS]),
        "loops": st.integers(1, 2),
        "start_paused": st.booleans(),
        "count": st.none() | st.integers(1, 900),
    }
)
AT_ONCE = st.lists(
    st.tuples(COMMANDS | st.sampled_from(["resume", "loop 09:30:01 09:30:02"]), st.booleans()), max_size=12
)


@settings(max_examples=20, deadline=None)
@given(OPTIONS, AT_ONCE)
def test_whatever_is_commanded_at_once_all_is_accounted_for_and_answered(
    root: Path, straight: Straight, options: dict[str, Any], commands: list[tuple[str, bool]]
) -> None:
    async def play() -> None:
        answers = []
        async with Controlled(root, **options) as replay:
            for words, waits in commands:
                with suppress(SpyctlError):
                    answers.append(post(replay, words))
                    if waits:
                        await answers[-1]
            with suppress(SpyctlError):
                await replay.do("stop")
            await replay.end()
            assert all(answer.done() for answer in answers)
            check(replay, straight.messages, straight.times)

    asyncio.run(asyncio.wait_for(play(), 30))


@settings(max_examples=40, deadline=None)
@given(st.lists(COMMANDS, min_size=1, max_size=8), st.floats(0, 1))
def test_a_killed_run_goes_on_wherever_it_had_come(
    root: Path, straight: Straight, commands: list[str], share: float
) -> None:
    async def play() -> None:
        async with Controlled(root) as first:
            for words in commands:
                with suppress(SpyctlError):
                    await first.do(words)
            stored, written = first.events[:], first.journals[-1] if first.journals else {}
        journal = Journal.of(written)
        least = journal.segments[-1].first - 1  # what was sent before it was written down is all stored
        position = least + round(share * (len(stored) - least))
        async with Controlled(root, journal=journal, skip=position, start_paused=False) as second:
            await second.end()
        follow, begun = second.events, stored[position:]
        assert follow[: len(begun)] == begun
        rest = follow[len(begun) :]
        assert rest == straight.messages[len(straight.messages) - len(rest) :]

    asyncio.run(play())


async def test_a_plan_that_is_played_several_times_is_resumed_in_the_same_turn(root: Path, straight: Straight) -> None:
    async with Controlled(root, start_paused=False, loops=3) as first:
        await first.end()
    journal = Journal.of(first.journals[-1])
    position = journal.segments[-1].first + 400
    async with Controlled(root, start_paused=False, loops=3, journal=journal, skip=position) as second:
        await second.end()
    assert second.events == first.events[position:]


async def test_a_resumed_replay_knows_its_place(root: Path, straight: Straight) -> None:
    async with Controlled(root, skip=501) as replay:
        await replay.do("step")
        assert replay.events == [straight.messages[501]]
    async with Controlled(root, skip=501, start_paused=False, speed=Speed(0.01)) as replay:
        await replay.do("pause")
        stood = len(replay.events)
        await replay.do("step -1")
        before = len(replay.events)
        await replay.do("step")
        assert replay.events[before:] == [straight.messages[501 + stood - 1]]
