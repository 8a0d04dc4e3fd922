"""All messages of a run made again, from any position on."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.market.events import ResetReason
from spyctl.market.subjects import SUBJECTS
from spyctl.replay.script import Script, prelude_of, reset_of
from spyctl.replay.segments import Cursor, Journal, Segment
from tests.support.days import FILES, ONE_DAY, File, run, written
from tests.support.records import T0


def test_the_first_segment_begins_without_a_reset() -> None:
    assert reset_of(Segment(), "r") is None
    assert len(prelude_of(None, [])) == 0


def test_a_reset_says_from_where_to_where_and_why() -> None:
    reset = reset_of(Segment(3, 17, Cursor(50, 2), ResetReason.LOOP, from_ns=70, jumped_ns=99, seeds=1), "r")
    piece = prelude_of(reset, [b'{"book":1}'])
    assert [SUBJECTS[rank] for rank in piece.ranks] == ["market.resets", "market.futures.mbp10"]
    told, seed = map(orjson.loads, piece.payloads())
    assert seed == {"book": 1}
    assert told == {
        "ts_event_ns": 50, "ts_recv_ns": 99, "source": told["source"], "run_id": "r",
        "reason": "loop", "from_ns": 70, "to_ns": 50, "segment": 3,
    }  # fmt: skip


@settings(max_examples=50)
@given(FILES, st.none() | st.integers(0, 30), st.data())
def test_from_any_position_on_it_is_the_rest(files: list[File], count: int | None, data: st.DataObject) -> None:
    with written(files) as plain:
        script = Script(plain.source, count)
        journal, messages, events = Journal(run_id="r"), list[bytes](), 0
        within = [place for place in plain.places() if T0 - ONE_DAY <= place.sort_ns <= T0 + 2 * ONE_DAY]
        places = [Cursor(), *data.draw(st.lists(st.sampled_from(within), max_size=4))]
        for number, place in enumerate(places):
            segment = journal.segments[0]
            if number:
                seeds = len(script.source.books_before(place)) if data.draw(st.booleans()) else 0
                segment = Segment(number, len(messages) + 1, place, ResetReason.SEEK, 1, 2, seeds)
                journal = journal.with_segment(segment)
            messages += script.prelude(segment, "r").payloads()
            rest = plain.payloads[plain.index(place) :][: None if count is None else max(0, count - events)]
            if number < len(places) - 1:
                rest = rest[: data.draw(st.integers(0, len(rest)))]
            messages += rest
            events += len(rest)
        position = data.draw(st.integers(0, len(messages)))
        pieces = list(Script(plain.source, count).pieces(journal, position))
        assert [payload for piece in pieces for payload in piece.payloads()] == messages[position:]

        async def streamed() -> list[tuple[str, bytes]]:
            parts = script.messages(journal, position, SUBJECTS)
            return [message[-2:] for part in [part async for part in parts] for message in part]  # type: ignore[misc]

        assert [payload for _, payload in run(streamed())] == messages[position:]
