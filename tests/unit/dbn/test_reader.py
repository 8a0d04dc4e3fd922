import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.dbn.reader import DBNFile
from spyctl.errors import DamagedFileError
from tests.support.records import DAY_NS, ES, MS, T0, book, content, metadata, trade, write_file, zstd_frames

TRADES = [trade(T0 + i * MS, sequence=i, price=-5 + i, size=i) for i in range(100)]


def read(path: Path, size: int = 7) -> tuple[list[int], DamagedFileError | None]:
    found: list[int] = []
    try:
        for chunk in DBNFile(path).chunks(size):
            assert len(chunk) <= size
            found += chunk["sequence"].tolist()
    except DamagedFileError as error:
        return found, error
    return found, None


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_every_record_is_read_once_in_order(tmp_path: Path, version: int, compressed: bool, size: int) -> None:
    path = write_file(tmp_path, "trades", TRADES, version=version, compressed=compressed)

    assert read(path, size) == (list(range(100)), None)
    assert DBNFile(path).header.version == version
    assert DBNFile(path).compressed is compressed


def test_the_header_tells_dataset_schema_symbols_and_start(tmp_path: Path) -> None:
    header = DBNFile(write_file(tmp_path, "trades", TRADES)).header

    assert (header.dataset, header.schema, header.symbols) == ("GLBX.MDP3", "trades", ("ES.c.0",))
    assert (header.stype_in, header.start_ns) == ("continuous", DAY_NS)
    assert [mapping.instrument_id for mapping in header.mappings] == [ES]


def test_records_with_ts_out_are_eight_bytes_longer(tmp_path: Path) -> None:
    head = metadata("trades", ts_out=True)
    longer = [bytes([bytes(record)[0] + 2]) + bytes(record)[1:] + bytes(8) for record in TRADES]
    path = tmp_path / "x.dbn"
    path.write_bytes(content(longer, head))

    assert read(path) == (list(range(100)), None)


def test_a_plain_file_cut_anywhere_gives_what_is_whole_and_says_where(tmp_path: Path) -> None:
    head = metadata("trades")
    data = content(TRADES[:5], head)
    path = tmp_path / "cut.dbn"
    for length in range(len(head), len(data)):
        path.write_bytes(data[:length])
        found, error = read(path, 2)
        whole, rest = divmod(length - len(head), 48)
        assert found == list(range(whole))
        if rest == 0:
            assert error is None
        else:
            assert error is not None
            assert (error.records, error.offset) == (whole, length - rest)
            assert str(path) in error.message


def test_a_zstd_file_cut_anywhere_but_at_the_end_of_a_frame_is_noticed(tmp_path: Path) -> None:
    head = metadata("trades")
    data = zstd_frames(content(TRADES, head), len(head), 1_920)
    path = tmp_path / "cut.dbn.zst"
    noticed = 0
    for length in range(len(head), len(data)):
        path.write_bytes(data[:length])
        found, error = read(path)
        assert found == list(range(len(found)))
        if error is not None:
            noticed += 1
            assert error.offset == length
            assert "cut short" in error.reason
            assert error.records == len(found)
    assert noticed >= len(data) - len(head) - 6  # a cut between two frames leaves a whole, shorter file


def test_zeros_after_the_records_are_not_records(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES)
    path.write_bytes(path.read_bytes() + bytes(64))

    found, error = read(path)

    assert found == list(range(100))
    assert error is not None
    assert "not a trades record" in error.reason
    assert error.offset == path.stat().st_size - 64


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "only 0 bytes"),
        (b"DBN", "only 3 bytes"),
        (b"PK\x03\x04 a zip file", "does not begin with DBN"),
        (content(TRADES[:3], b""), "does not begin with DBN"),  # a fragment under a file's name
        (b"DBN\x04" + bytes(100), "DBN version 4"),
        (b"DBN\x00" + bytes(100), "DBN version 0"),
        (metadata("trades")[:60], "inside the header"),
        (b"DBN\x01\xff\xff\xff\xff" + bytes(100), "inside the header"),
        (b"DBN\x01\x08\x00\x00\x00" + bytes(8), "unreadable DBN header"),
        (zstandard.compress(b"hello, this is no DBN file"), "does not begin with DBN"),
        (b"\x28\xb5\x2f\xfd\x00", "cut short"),
    ],
)
def test_files_that_are_not_dbn_are_named(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "odd.dbn"
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=said):
        DBNFile(path)


@pytest.mark.parametrize("schema", ["mbp-1", "ohlcv-1d", None])
def test_a_schema_that_is_not_replayed_is_named(tmp_path: Path, schema: str | None) -> None:
    path = tmp_path / "other.dbn"
    path.write_bytes(metadata(schema))
    chunks = DBNFile(path).chunks()
    with pytest.raises(DamagedFileError, match=schema or "live capture"):
        next(chunks)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="cannot be opened"):
        DBNFile(tmp_path / "nothing.dbn")


def test_first_and_last_record_of_a_plain_file(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES)
    path.write_bytes(path.read_bytes() + b"tail")

    assert DBNFile(path).first()["sequence"].tolist() == [0]
    assert DBNFile(path).last()["sequence"].tolist() == [99]
    empty = DBNFile(write_file(tmp_path, "mbp-10", []))
    assert (len(empty.first()), len(empty.last())) == (0, 0)


@pytest.mark.parametrize("schema", ["trades", "mbp-10"])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_header_of_a_second_file_is_found_and_named(tmp_path: Path, schema: str, compressed: bool) -> None:
    make = trade if schema == "trades" else book
    one, two = (
        write_file(tmp_path / name, schema, [make(T0 + i) for i in range(count)], compressed=compressed)
        for name, count in (("a", 5_000), ("b", 1))
    )
    plain = write_file(tmp_path / "c", schema, [make(T0 + i) for i in range(5_000)])
    both = tmp_path / f"both.dbn{'.zst' if compressed else ''}"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    counted, problem = 0, None
    try:
        for records in DBNFile(both).chunks():
            counted += len(records)
    except DamagedFileError as error:
        problem = error
    assert problem is not None
    assert (counted, problem.records, problem.offset) == (5_000, 5_000, plain.stat().st_size)
    assert problem.reason.startswith("a second DBN header (joined files)")
    unpacking = "unpack it, then " if compressed else ""
    assert problem.remedy == f"{unpacking}split it there into the files that it was made of"


@pytest.mark.parametrize("capture", [False, True])
@pytest.mark.parametrize("schema", ["trades", "mbp-10"])
@settings(max_examples=20)
@given(count=st.sampled_from([1, 5, 2_047, 2_048, 2_049, 3_000]), cut=st.integers(1, 47))
def test_a_second_file_behind_one_that_was_cut_inside_a_record_is_found(
    tmp_path_factory: pytest.TempPathFactory, capture: bool, schema: str, count: int, cut: int
) -> None:
    record = bytes((trade if schema == "trades" else book)(T0))
    cut = cut * len(record) // 48
    head = metadata(None if capture else schema, version=3, symbols=["ES.c.0"])
    path = tmp_path_factory.mktemp("joined") / "x.dbn"
    path.write_bytes(head + record * count + record[:cut] + head + record * 10)
    found, problem = 0, None
    try:
        for records in DBNFile(path, schema).chunks():
            found += len(records)
    except DamagedFileError as error:
        problem = error
    assert problem is not None
    assert (found, problem.offset) == (count, len(head) + count * len(record) + cut)
    assert problem.reason == "a second DBN header (joined files)"


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2_047, 2_048, 3_000])
def test_a_second_file_whose_records_go_on_where_those_of_the_first_would_is_found(
    tmp_path: Path, version: int, count: int
) -> None:
    record = bytes(book(T0))
    heads = (metadata("mbp-10", version=version, symbols=symbols) for symbols in ([], ["ES.c.0"]))
    head = min(heads, key=len)
    assert len(head) < len(record)  # a single record holds the end of the first file and all of the header
    cut = len(record) - len(head)
    path = tmp_path / "x.dbn"
    path.write_bytes(metadata("mbp-10", version=version) + record * count + record[:cut] + head + record * 5_000)
    found, error = read(path)
    assert len(found) == count
    assert error is not None
    assert error.reason == "a second DBN header (joined files)"


@pytest.mark.parametrize("packed_first", [False, True])
def test_a_packed_and_a_plain_file_that_were_joined_are_named(tmp_path: Path, packed_first: bool) -> None:
    plain = write_file(tmp_path / "a", "trades", TRADES).read_bytes()
    packed = write_file(tmp_path / "b", "trades", TRADES, compressed=True).read_bytes()
    path = tmp_path / "x.dbn"
    path.write_bytes(packed + plain if packed_first else plain + packed)
    found, error = read(path)
    assert len(found) == 100
    assert error is not None
    assert "(joined files)" in error.reason


def test_a_capture_that_a_second_session_was_appended_to_is_found(tmp_path: Path) -> None:
    session = content([trade(T0)], metadata(None, version=3, symbols=[], mappings={}, start=0, end=None))
    path = tmp_path / "live.dbn"
    path.write_bytes(session * 2)
    chunks = DBNFile(path, "trades").chunks()
    assert len(next(chunks)) == 1
    with pytest.raises(DamagedFileError, match=f"a second DBN header .joined files. at byte {len(session)}"):
        next(chunks)


def read_changed(file: DBNFile, change: Callable[[Path], object]) -> tuple[int, str]:
    """Change a file after its first chunk was read; returns how many records came, and what was said."""
    found = 0
    try:
        for records in file.chunks(10):
            if not found:
                change(file.path)
            found += len(records)
    except DamagedFileError as error:
        return found, error.reason
    return found, ""


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_grows_while_it_is_read_ends_where_it_ended_and_says_so(tmp_path: Path, compressed: bool) -> None:
    path = write_file(tmp_path, "trades", TRADES, compressed=compressed)
    size, data = path.stat().st_size, path.read_bytes()
    found, reason = read_changed(DBNFile(path), lambda path: path.write_bytes(data + data[-48:]))
    assert (found, reason) == (100, f"still growing: {size:,} bytes when it was looked at, {size + 48:,} now")


def test_a_file_that_shrinks_while_it_is_read_is_damaged(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES)
    size = path.stat().st_size
    found, reason = read_changed(DBNFile(path), lambda path: os.truncate(path, size - 480))
    assert (found, reason) == (90, f"shrunk: {size:,} bytes when it was looked at, {size - 480:,} now")


def test_a_file_that_is_replaced_while_it_is_read_is_played_as_it_was_opened(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a", "trades", TRADES)
    other = write_file(tmp_path / "b", "trades", TRADES[:10])
    assert read_changed(DBNFile(path), lambda path: other.replace(path)) == (100, "")


def test_a_file_that_is_another_one_when_its_turn_comes_is_refused(tmp_path: Path) -> None:
    path, other = (write_file(tmp_path / name, "trades", TRADES) for name in ("a", "b"))
    file = DBNFile(path)
    other.replace(path)
    with pytest.raises(DamagedFileError, match="replaced by another file since it was looked at"):
        next(file.chunks())


def test_a_file_that_is_written_anew_while_it_is_read_is_damaged(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES)
    data = path.read_bytes()
    _, reason = read_changed(DBNFile(path), lambda path: path.write_bytes(data.replace(b"ES.c.0", b"NQ.c.0")))
    assert reason == "not the header that it had when it was looked at"
    path.write_bytes(data)
    later = path.stat().st_mtime_ns + 10_000_000
    _, reason = read_changed(DBNFile(path), lambda path: os.utime(path, ns=(later, later)))
    assert reason == "written to since it was looked at"


def test_another_header_than_before_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES)
    file = DBNFile(path)
    path.write_bytes(path.read_bytes().replace(b"ES.c.0", b"NQ.c.0"))
    with pytest.raises(DamagedFileError, match="not the header that it had when it was looked at"):
        next(file.chunks())
