"""Any bit of a header flipped: the file is read, or named as damaged; nothing else happens.

``make test`` takes a seeded sample, ``make soak`` all of them.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.overlaps import resolve_overlaps
from spyctl.dbn.sort_times import Selection
from spyctl.errors import SpyctlError
from spyctl.replay.source import Reading, read_batches
from tests.support.records import MS, T0, book, content, metadata, trade, zstd_frames

RECORDS = 3
MAKERS = {"trades": trade, "mbp-10": book}
CASES = [(version, schema, packed) for version in (1, 2, 3) for schema in MAKERS for packed in (False, True)]


def survive(root: Path, data: bytes) -> str:
    """Take a file through all that a replay does with it; returns what came of it."""
    (root / "glbx-mdp3-20251216.any.dbn").write_bytes(data)
    catalog = scan(root)
    if not catalog.files and not catalog.unreadable:
        return "other"
    if catalog.unreadable:
        assert all(error.message for error in catalog.unreadable)
        return "unreadable"
    assert resolve_overlaps(catalog.files)[1] == []
    reading = Reading()
    try:
        count = sum(len(batch) for batch in read_batches(catalog.files, Selection(), reading))
    except SpyctlError:
        return "refused"
    assert count + sum(reading.rejected.values()) == reading.read <= RECORDS
    assert reading.damage or reading.read == RECORDS  # nothing goes missing without a word
    return "damaged" if reading.damage else "read"


def flips(version: int, schema: str, packed: bool) -> Iterator[tuple[int, bytes]]:
    head = metadata(schema, version=version)
    data = content([MAKERS[schema](T0 + i * MS) for i in range(RECORDS)], head)
    data = zstd_frames(data, len(head)) if packed else data
    end = data.find(b"\x28\xb5\x2f\xfd", 4) if packed else len(head)
    for place in range(end):
        for bit in range(8):
            bent = bytearray(data)
            bent[place] ^= 1 << bit
            yield place, bytes(bent)


@pytest.mark.parametrize(("version", "schema", "packed"), CASES)
def test_a_sample_of_flipped_header_bits_is_survived(tmp_path: Path, version: int, schema: str, packed: bool) -> None:
    chosen = random.Random(f"{version}{schema}{packed}").sample(list(flips(version, schema, packed)), 60)
    found = {survive(tmp_path, data) for _, data in chosen}
    assert len(found) > 1


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("version", "schema", "packed"), CASES)
def test_every_flipped_header_bit_is_survived(tmp_path: Path, version: int, schema: str, packed: bool) -> None:
    for place, data in flips(version, schema, packed):
        try:
            survive(tmp_path, data)
        except Exception as error:
            pytest.fail(f"bit in byte {place}: {error!r}")


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_every_flipped_bit_of_a_live_capture_is_survived(tmp_path: Path) -> None:
    head = metadata(None, version=3, symbols=[], mappings={}, start=0, end=None)
    data = content([trade(T0), book(T0), trade(T0 + 1)], head)
    for place in range(len(data)):
        for bit in range(8):
            bent = bytearray(data)
            bent[place] ^= 1 << bit
            found = survive(tmp_path, bytes(bent))
            if len(head) <= place:
                assert found in ("damaged", "unreadable", "read"), (place, bit)
