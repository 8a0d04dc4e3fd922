"""What a tape holds, and the ``.json`` beside it."""

from datetime import date
from pathlib import Path

import orjson
import pytest
from xxhash import xxh3_128_hexdigest

from spyctl.errors import DamagedFileError
from spyctl.replay.tapes.contents import (
    Contents,
    Missing,
    Sidecar,
    read_sidecar,
    sidecar_path,
    write_whole,
)
from tests.support.tapes import ORIGIN, STORED_NS, messages

TAPE = "MARKET_DATA-2025-12-16.jsonl.zst"


def test_counts_and_digest_are_those_of_the_messages_however_they_come() -> None:
    stored = messages(1, 100)
    at_once, in_parts = Contents(), Contents()
    at_once.add(stored)
    for start in range(0, 100, 7):
        in_parts.add(stored[start : start + 7])
    sidecar = Sidecar(ORIGIN, date(2025, 12, 16))
    document = sidecar.document(in_parts, 10)
    assert document == sidecar.document(at_once, 10)
    assert (document["events"], document["first_seq"], document["last_seq"]) == (100, 1, 100)
    assert document["bytes"] == sum(len(message.payload) for message in stored)
    assert document["digest"] == xxh3_128_hexdigest(b"".join(m.payload + b"\n" for m in stored))
    assert document["digest_algorithm"] == "xxh3-128"
    assert (document["first_event_ns"], document["last_event_ns"]) == (STORED_NS + 1_000_000, STORED_NS + 100_000_000)
    assert document["last_stored_ns"] == stored[-1].stored_ns
    gaps = document["by_subject"]["market.gaps"]
    assert (gaps["events"], gaps["first_seq"], gaps["last_seq"]) == (16, 5, 95)


def test_a_sidecar_is_read_back(tmp_path: Path) -> None:
    sidecar = Sidecar(ORIGIN, date(2025, 12, 16), 7, [Missing(1, 3, "gone")], whole=True)
    write_whole(sidecar_path(tmp_path / TAPE), orjson.dumps(sidecar.document(Contents(), 0)))
    found = read_sidecar(tmp_path / TAPE)
    assert found is not None
    assert found[0] == sidecar
    assert [gap.text for gap in sidecar.gaps] == ["sequences 1 to 3 are missing: gone"]
    assert [path.name for path in tmp_path.iterdir()] == ["MARKET_DATA-2025-12-16.json"]
    assert read_sidecar(tmp_path / "another.jsonl.zst") is None


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"format":"spyctl tape 2"}', b'{"format":"spyctl tape 1"}'])
def test_a_sidecar_of_another_kind_is_damage(tmp_path: Path, text: bytes) -> None:
    sidecar_path(tmp_path / TAPE).write_bytes(text)
    with pytest.raises(DamagedFileError, match=r"2025-12-16\.json: (is not of a tape|cannot be read)"):
        read_sidecar(tmp_path / TAPE)
