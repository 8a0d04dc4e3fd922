"""Whatever bytes a file holds, it is read, or named as damaged: nothing hangs, grows, or raises what is not ours."""

import resource
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.bus.leases import Lease
from spyctl.bus.runs import RunRecord
from spyctl.dbn.sidecars import read_conditions, read_manifest
from spyctl.errors import DamagedFileError, PayloadError
from spyctl.market.option_tickers import OptionTicker, parse_option_ticker
from tests.support.records import T0, content, metadata, trade, zstd_frames
from tests.unit.dbn.test_flipped_bits import survive

HEAD = metadata("trades")
PLAIN = content([trade(T0), trade(T0 + 1)], HEAD)
PACKED = zstd_frames(PLAIN, len(HEAD))
MORE = 200  # times as many inputs in the soak
FEW, MANY = settings(max_examples=60), settings(max_examples=60 * MORE)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
EDITS = st.lists(st.tuples(st.integers(0, len(PLAIN)), st.integers(0, 40), st.binary(max_size=12)), min_size=1)


def edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Replace parts of some bytes by others."""
    for at, length, new in edits:
        data = data[:at] + new + data[at + length :]
    return data


def check_file(data: bytes) -> None:
    # How many records are left is no concern of ours here.
    with TemporaryDirectory() as folder, suppress(AssertionError):
        survive(Path(folder), data)


@FEW
@given(EDITS, st.sampled_from([PLAIN, PACKED]))
def test_a_file_with_other_bytes_in_it_is_survived(edits: list[tuple[int, int, bytes]], data: bytes) -> None:
    check_file(edited(data, edits))


@pytest.mark.soak
@pytest.mark.timeout(0)
@MANY
@given(EDITS, st.sampled_from([PLAIN, PACKED]))
def test_many_files_with_other_bytes_in_them_are_survived(edits: list[tuple[int, int, bytes]], data: bytes) -> None:
    check_file(edited(data, edits))


@FEW
@given(JSON | st.fixed_dictionaries({"files": JSON, "filename": JSON}), st.binary(max_size=40))
def test_documents_beside_the_files_are_read_or_left(document: object, noise: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.json"
        for data in (noise, _json(document), _json([document]), _json({"files": [document]})):
            path.write_bytes(data)
            for read in (read_manifest, read_conditions):
                with suppress(DamagedFileError):
                    assert isinstance(read(path), dict)


@FEW
@given(JSON, st.sampled_from(["run_id", "checkpoint", "batch", "state", "position"]))
def test_a_record_of_a_run_is_read_or_refused(value: object, key: str) -> None:
    record = orjson.loads(orjson.dumps(RunRecord("a", "replay", "S", [], [], {}, 0)))
    for document in (value, record | {key: value}):
        for kind in (RunRecord, Lease):
            with suppress(KeyError, TypeError, ValueError):
                kind.from_json(_json(document))


@FEW
@given(st.text(max_size=30) | st.from_regex(r"O:[A-Z]{1,6}[0-9]{6}[CP][0-9]{8}", fullmatch=True))
def test_a_ticker_is_read_as_it_is_written_or_refused(text: str) -> None:
    try:
        ticker = parse_option_ticker(text)
    except PayloadError:
        return
    assert isinstance(ticker, OptionTicker)
    assert str(ticker) == text


# --- bombs

ZEROS = 10 << 30
BLOCK = 128 << 10
_SCAN = """
import sys
from pathlib import Path
from tests.unit.dbn.test_flipped_bits import survive
survive(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes())
"""


def zeros(size: int) -> bytes:
    """A zstd frame of so many zeros, 4 bytes for each 128 KiB."""
    count = size // BLOCK
    blocks = [struct.pack("<I", BLOCK << 3 | 0b010 | (n == count - 1))[:3] + b"\0" for n in range(count)]
    return b"\x28\xb5\x2f\xfd\x00\x58" + b"".join(blocks)


def many_mappings() -> bytes:
    """A header that claims 2**32 - 1 of each of its lists."""
    return HEAD[:-16] + b"\xff" * 16


@pytest.mark.parametrize(
    "data", [PACKED + zeros(ZEROS), zeros(ZEROS), many_mappings(), HEAD + b"\xff" * 64],
    ids=["zeros behind records", "zeros", "mappings", "lengths"],
)  # fmt: skip
def test_a_bomb_is_bounded_in_time_and_memory(tmp_path: Path, data: bytes) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(data)
    (tmp_path / "data").mkdir()

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    done = subprocess.run(
        [sys.executable, "-c", _SCAN, tmp_path / "data", bomb], capture_output=True, text=True, preexec_fn=bound
    )  # fmt: skip
    error = done.stderr.strip().splitlines()[-1:]
    assert done.returncode == 0 or error == ["AssertionError"], done.stderr


def _json(document: object) -> bytes:
    try:
        return orjson.dumps(document)
    except (TypeError, ValueError):
        return b"{}"
