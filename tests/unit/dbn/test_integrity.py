"""Holding files to what they should be."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import zstandard

from spyctl.dbn.catalog import scan
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.file_memory import FileMemory
from spyctl.dbn.integrity import KnownHashes, check_file
from tests.support.records import MS, T0, content, metadata, trade, write_file, zstd_frames

TRADES = [trade(T0 + i * MS) for i in range(400)]


@pytest.fixture
def hashes(tmp_path: Path) -> KnownHashes:
    return KnownHashes(FileMemory(tmp_path / "cache" / "sha256.json"))


def only(root: Path) -> DBNFileInfo:
    (info,) = scan(root).files
    return info


def test_a_good_file_is_good_by_its_hash_and_read_once(tmp_path: Path, hashes: KnownHashes) -> None:
    path = write_file(tmp_path / "data", "trades", TRADES, compressed=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = {"filename": path.name, "size": path.stat().st_size, "hash": f"sha256:{digest}"}
    (path.parent / "manifest.json").write_text(json.dumps({"files": [entry]}))
    done: list[int] = []
    found = check_file(only(tmp_path / "data"), hashes, done.append)
    assert (found.by, found.problem, sum(done)) == ("sha256", None, path.stat().st_size)

    read: list[int] = []
    KnownHashes(FileMemory(tmp_path / "cache" / "sha256.json")).of(path, read.append)
    assert read == []  # remembered
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    KnownHashes(FileMemory(tmp_path / "cache" / "sha256.json")).of(path, read.append)
    assert sum(read) == status.st_size  # until it changes
    entry["hash"] = "sha256:" + "0" * 64
    (path.parent / "manifest.json").write_text(json.dumps({"files": [entry]}))
    problem = check_file(only(tmp_path / "data"), hashes, done.append).problem
    assert problem is not None
    assert "not the bytes whose sha256 manifest.json gives" in problem.message


@pytest.mark.parametrize("compressed", [False, True])
def test_without_a_hash_a_file_is_read_to_its_end(tmp_path: Path, hashes: KnownHashes, compressed: bool) -> None:
    records = [trade(T0 + i) for i in range(5_000)]
    path = write_file(tmp_path / "data", "trades", records, compressed=compressed)
    done: list[int] = []
    found = check_file(only(tmp_path / "data"), hashes, done.append)
    assert (found.by, found.problem, sum(done)) == ("reading", None, path.stat().st_size)
    assert len(done) > 2  # told as it goes
    data = bytearray(content(records, metadata("trades")))
    data[-47] = 0x0A  # the rtype of the last record
    path.write_bytes(zstd_frames(bytes(data), len(metadata("trades"))) if compressed else bytes(data))
    problem = check_file(only(tmp_path / "data"), hashes, done.append).problem
    assert problem is not None
    assert "a trades record" in problem.message


def test_a_hash_that_differs_says_where_if_the_records_tell(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", [trade(T0 + i * MS) for i in range(100)])
    good = path.read_bytes()
    digest = hashlib.sha256(good).hexdigest()
    manifest = {"files": [{"filename": path.name, "size": len(good), "hash": f"sha256:{digest}"}]}
    (path.parent / "manifest.json").write_text(json.dumps(manifest))
    at = len(good) - 50 * 48
    path.write_bytes(good[:at] + bytes(48) + good[at + 48 :])
    (info,) = scan(tmp_path).files
    problem = check_file(info, KnownHashes(FileMemory(tmp_path / "hashes.json")), lambda _: None).problem
    assert problem is not None
    assert (problem.offset, problem.records) == (at, 50)
    assert "sha256" in problem.message
    assert "not a trades record at byte" in problem.message


# --- unpacked beside its archive


def unpacked(root: Path) -> tuple[Path, Path]:
    # The archive does not say how much it holds, so that nothing is known before the check.
    path = write_file(root, "trades", TRADES)
    archive = path.with_name(f"{path.name}.zst")
    archive.write_bytes(zstandard.ZstdCompressor(write_content_size=False).compress(path.read_bytes()))
    return path, archive


def test_a_file_is_verified_against_the_archive_it_was_unpacked_from(tmp_path: Path, hashes: KnownHashes) -> None:
    unpacked(tmp_path)
    read: list[int] = []
    info = only(tmp_path)
    found = check_file(info, hashes, read.append)
    assert (found.by, found.problem, sum(read)) == ("archive", None, info.size)


@pytest.mark.parametrize("step", [1 << 20, 10])  # at the end of a step, too
def test_a_file_cut_at_the_end_of_a_record_is_known_by_its_archive(
    tmp_path: Path, hashes: KnownHashes, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr("spyctl.dbn.integrity._READ", step)
    path, archive = unpacked(tmp_path)
    path.write_bytes(path.read_bytes()[:-96])
    assert path.stat().st_size % 10 == 0
    info = only(tmp_path)
    assert info.problem is None  # nothing else tells
    found = check_file(info, hashes, lambda _: None).problem
    assert found is not None
    assert found.reason == f"shorter than what its archive {archive.name} holds,"
    assert (found.offset, found.remedy) == (path.stat().st_size, "unpack it again")


@pytest.mark.parametrize("at", [30, 300, -20])
def test_other_bytes_than_the_archive_holds_are_found(tmp_path: Path, hashes: KnownHashes, at: int) -> None:
    path, archive = unpacked(tmp_path)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    found = check_file(only(tmp_path), hashes, lambda _: None).problem
    assert found is not None
    assert found.reason == f"not what its archive {archive.name} holds,"
    assert found.offset == at % len(data)


def test_a_file_rewritten_in_another_version_of_dbn_is_verified_by_its_records(
    tmp_path: Path, hashes: KnownHashes
) -> None:
    path, archive = unpacked(tmp_path)
    path.write_bytes(content(TRADES, metadata("trades", version=3)))
    assert check_file(only(tmp_path), hashes, lambda _: None).problem is None
    for records, said in ((TRADES[:-1], "shorter than what"), ([*TRADES[:200], trade(1), *TRADES[201:]], "not what")):
        path.write_bytes(content(records, metadata("trades", version=3)))
        found = check_file(only(tmp_path), hashes, lambda _: None).problem
        assert found is not None
        assert found.reason == f"{said} its archive {archive.name} holds,"
    assert found.records == 200


def test_an_empty_archive_is_damaged_and_not_the_file(tmp_path: Path, hashes: KnownHashes) -> None:
    _, archive = unpacked(tmp_path)
    archive.write_bytes(b"")
    found = check_file(only(tmp_path), hashes, lambda _: None).problem
    assert found is not None
    assert found.reason.startswith(f"its archive {archive.name} is damaged")


def test_records_that_are_alike_and_bad_are_bad(tmp_path: Path, hashes: KnownHashes) -> None:
    path, archive = unpacked(tmp_path)
    data = path.read_bytes()
    at = len(data) - 100 * 48
    path.write_bytes(data[:at] + bytes(48) + data[at + 48 :])
    archive.write_bytes(zstandard.ZstdCompressor(write_content_size=False).compress(path.read_bytes()))
    found = check_file(only(tmp_path), hashes, lambda _: None).problem
    assert found is not None
    assert (found.reason, found.offset) == ("not a trades record", at)


def test_an_archive_that_is_damaged_is_named_and_not_taken_for_the_file(tmp_path: Path, hashes: KnownHashes) -> None:
    _, archive = unpacked(tmp_path)
    data = archive.read_bytes()
    archive.write_bytes(data[:-5])
    found = check_file(only(tmp_path), hashes, lambda _: None).problem
    assert found is not None
    assert found.reason == f"its archive {archive.name} is damaged: cut short"
    manifest = {"files": [{"filename": archive.name, "size": len(data), "hash": f"sha256:{'0' * 64}"}]}
    (archive.parent / "manifest.json").write_text(json.dumps(manifest))
    archive.write_bytes(data)
    found = check_file(only(tmp_path), hashes, lambda _: None).problem
    assert found is not None
    assert "is not the bytes whose sha256 manifest.json gives" in found.reason
    manifest["files"][0]["hash"] = f"sha256:{hashlib.sha256(data).hexdigest()}"
    (archive.parent / "manifest.json").write_text(json.dumps(manifest))
    assert check_file(only(tmp_path), hashes, lambda _: None).problem is None
