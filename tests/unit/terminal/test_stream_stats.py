"""What a stream carries, by subject."""

import orjson
import pytest

from spyctl.market.lines import StreamMessage
from spyctl.terminal.stream_stats import StreamStats
from tests.support.frames import SIZES, assert_whole

MS, SECOND = 1_000_000, 1_000_000_000
DAY = 86_400 * SECOND


def message(stored_ns: int, age_ns: int, subject: str = "market.gaps") -> StreamMessage:
    payload = orjson.dumps({"ts_event_ns": stored_ns - age_ns, "ts_recv_ns": stored_ns - age_ns // 2})
    return StreamMessage(1, subject, stored_ns, payload, 0)


def stats(*messages: StreamMessage) -> StreamStats:
    made = StreamStats()
    for one in messages:
        made.add(one)
    return made


def test_rates_are_over_the_time_between_the_first_and_the_last_message() -> None:
    document = stats(*(message(i * SECOND, 2_000_000) for i in range(1, 6))).document()
    assert document["market.gaps"]["events"] == 5  # type: ignore[index]
    assert document["market.gaps"]["events_per_s"] == 1.25  # type: ignore[index]
    assert document["market.gaps"]["event_to_stored_ms"]["p50"] == pytest.approx(2.0, rel=0.02)  # type: ignore[index]
    assert document["market.gaps"]["received_to_stored_ms"]["p99"] == pytest.approx(1.0, rel=0.02)  # type: ignore[index]


def test_a_replay_has_no_latencies_as_json_either() -> None:
    document = stats(message(DAY * 9, DAY * 3, "market.futures.trades")).document()["market.futures.trades"]
    assert (document["event_to_stored_ms"], document["received_to_stored_ms"]) == (None, None)  # type: ignore[index]


def test_one_message_has_no_rate() -> None:
    document = stats(message(SECOND, 1_000)).document()
    assert document["market.gaps"]["events_per_s"] is None  # type: ignore[index]


def test_what_is_not_json_or_has_no_times_is_counted() -> None:
    made = stats(StreamMessage(1, "a", SECOND, b"nonsense", 0), StreamMessage(2, "a", SECOND, b"{}", 0))
    assert made.document()["a"]["undecoded"] == 2  # type: ignore[index]


HOSTILE = [b"[" * 2_000, b"[]", b"null", b'"x"', b"\x1b[2J", b"", b"{" * 2_000]
TIMES = [
    b"-1.7976931348623157e308",
    b"1e308",
    b"1e400",
    b"NaN",
    b"true",
    b"-1",
    b"18446744073709551615",
    b"[" * 9,
    b'"1"',
]


@pytest.mark.parametrize("payload", [*HOSTILE, *(b'{"ts_event_ns":%b,"ts_recv_ns":1}' % text for text in TIMES)])
def test_a_hostile_payload_is_counted_and_costs_itself_alone(payload: bytes) -> None:
    made = stats(StreamMessage(1, "a", SECOND, payload, 0), message(2 * SECOND, 2_000_000, "a"))
    assert made.document()["a"]["undecoded"] == 1  # type: ignore[index]
    assert made.document()["a"]["event_to_stored_ms"]["p99"] == pytest.approx(2.0, rel=0.02)  # type: ignore[index]
    assert max(map(len, made.draw(79, 24).plain.splitlines())) < 80


def test_the_table_shows_a_row_per_subject_and_no_age_of_replayed_events() -> None:
    made = stats(message(DAY * 9, 2_000_000), message(DAY * 9, DAY * 3, "market.futures.trades"))
    head, replayed, live, foot = made.draw(100, 24).plain.splitlines()
    assert head.split()[:4] == ["subject", "events", "/s", "bytes"]
    assert (replayed.split()[0], replayed.split()[-2]) == ("futures.trades", "·")
    assert live.split()[0] == "gaps"
    assert live.endswith("ms")
    assert foot.strip() == "p50 / p99"


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_no_figure_is_cut_at_any_size(size: tuple[int, int]) -> None:
    made = stats(message(1, 1, "market.futures.mbp10"), message(DAY * 9, 123_456 * MS, "market.options.trades"))
    for tally in made.subjects.values():
        tally.events, tally.size = 9_876_543_210, 98_765_432_109_876
    assert_whole(made.draw, *size)


def test_a_line_says_the_counts() -> None:
    assert StreamStats().line() == "nothing yet"
    assert stats(message(1, 1), message(2, 1, "market.stocks.trades")).line() == "gaps 1  stocks.trades 1"
