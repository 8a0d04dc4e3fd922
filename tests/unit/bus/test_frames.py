"""Protocol messages made a batch at a time are those that would be written one by one."""

from hypothesis import given
from hypothesis import strategies as st

from spyctl.bus.frames import hpub_frame, hpub_frames, pub_frames
from tests.support.batches import batch_of
from tests.support.connection import Published, messages
from tests.support.kernels import encoded_by, encoders

SUBJECTS = ("market.futures.trades", "m.b", "market.options.trades")
PAYLOADS = st.lists(
    st.tuples(st.binary(min_size=1, max_size=30).map(lambda b: b.replace(b"\0", b".")), st.integers(0, 2)),
    min_size=1,
    max_size=30,
)
FIRST = st.one_of(st.integers(1, 120), st.integers(1, 10**9 - 40))


@given(PAYLOADS, FIRST)
def test_each_event_is_published_on_its_subject_with_a_numbered_reply(
    rows: list[tuple[bytes, int]], first: int
) -> None:
    batch = batch_of([payload for payload, _ in rows], [rank for _, rank in rows])
    expected = b"".join(
        b"PUB %s in.box.%d.end %d\r\n%s\r\n" % (SUBJECTS[rank].encode(), first + i, len(payload), payload)
        for i, (payload, rank) in enumerate(rows)
    )
    for compiled in encoders():
        with encoded_by(compiled):
            assert pub_frames(batch, SUBJECTS, "in.box.", first, ".end") == expected


def expected_hpub(rows: list[tuple[bytes, int]], first: int, ids: list[bytes]) -> bytes:
    frames = []
    for i, ((payload, rank), message_id) in enumerate(zip(rows, ids, strict=True)):
        head = b"NATS/1.0\r\nNats-Msg-Id: %s\r\n\r\n" % message_id
        sizes = b"%d %d" % (len(head), len(head) + len(payload))
        frames.append(
            b"HPUB %s in.%d %s\r\n%s%s\r\n" % (SUBJECTS[rank].encode(), first + i, sizes, head, payload)
        )  # fmt: skip
    return b"".join(frames)


@given(PAYLOADS, FIRST)
def test_an_event_without_an_id_is_identified_by_its_run_and_position(
    rows: list[tuple[bytes, int]], first: int
) -> None:
    batch = batch_of([payload for payload, _ in rows], [rank for _, rank in rows])
    ids = [b"3kq7-%d" % (first + i) for i in range(len(rows))]
    assert hpub_frames(batch, SUBJECTS, "in.", first, "3kq7-") == expected_hpub(rows, first, ids)


@given(PAYLOADS, FIRST, st.data())
def test_an_event_that_brings_an_id_keeps_it(rows: list[tuple[bytes, int]], first: int, data: st.DataObject) -> None:
    text = st.text("ABC.123", min_size=1, max_size=20).map(str.encode)
    ids = data.draw(st.lists(text, min_size=len(rows), max_size=len(rows)))
    batch = batch_of([payload for payload, _ in rows], [rank for _, rank in rows], ids)
    assert hpub_frames(batch, SUBJECTS, "in.", first, "3kq7-") == expected_hpub(rows, first, ids)


@given(PAYLOADS, st.binary(max_size=40))
def test_further_lines_of_a_header_are_written_before_the_id(rows: list[tuple[bytes, int]], text: bytes) -> None:
    batch = batch_of([payload for payload, _ in rows], [rank for _, rank in rows])
    lines = b"X:%s\r\n" % text.hex().encode()
    plain, frames = expected_hpub(rows, 1, [b"r-%d" % (i + 1) for i in range(len(rows))]), bytearray()
    for message in messages(plain):
        headers = message.headers.replace(b"NATS/1.0\r\n", b"NATS/1.0\r\n" + lines)
        sizes = len(headers), len(headers) + len(message.payload)
        frames += b"HPUB %s %s %d %d\r\n" % (message.subject.encode(), message.reply.encode(), *sizes)
        frames += headers + message.payload + b"\r\n"
    assert hpub_frames(batch, SUBJECTS, "in.", 1, "r-", more=lines) == frames


def test_one_event_is_framed_with_the_lines_of_a_header() -> None:
    (message,) = messages(hpub_frame(batch_of([b"event"], [1]), SUBJECTS, "in.1", b"X:y\r\n"))
    assert message == Published("m.b", "in.1", b"NATS/1.0\r\nX:y\r\n\r\n", b"event")
