"""Bombs: a small file that unpacks to 10 GB, or claims billions of entries, is bounded in time and memory."""

import resource
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import HEAD, PACKED

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
