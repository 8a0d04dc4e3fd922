import errno
import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.file_info import days_of
from spyctl.errors import NoDataFolderError
from spyctl.timing.instants import SECOND
from tests.support.records import DAY, DAY_NS, MS, T0, book, trade, write_file

NEXT = date(2025, 12, 17)
TRADES = [trade(T0 + i * MS) for i in range(10)]
BOOKS = [book(DAY_NS - 5, DAY_NS, flags=168), *(book(T0 + i * MS) for i in range(20))]


def test_files_are_found_in_catalog_order_with_their_span(tmp_path: Path) -> None:
    write_file(tmp_path, "mbp-10", BOOKS, compressed=True)
    write_file(tmp_path, "trades", [trade(T0 + 86_400 * SECOND + i * MS) for i in range(10)], day=NEXT)
    write_file(tmp_path, "trades", TRADES)

    catalog = scan(tmp_path)
    infos, unreadable = catalog.files, catalog.unreadable

    assert unreadable == []
    assert [(info.schema, info.first_date) for info in infos] == [("trades", DAY), ("trades", NEXT), ("mbp-10", DAY)]
    assert [info.records for info in infos] == [10, 10, 21]
    assert (infos[2].first_ns, infos[2].last_ns) == (DAY_NS, T0 + 19 * MS + 100_000)
    assert days_of(infos) == [DAY, NEXT]
    assert not any(info.synthetic for info in infos)


def test_a_folder_marked_synthetic_marks_what_lies_below(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    (tmp_path / "metadata.json").write_text('{"synthetic": true}')
    (info,) = scan(tmp_path).files
    assert info.synthetic


def test_damage_is_noted_and_files_that_are_not_dbn_are_unreadable(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES)
    path.write_bytes(path.read_bytes()[:-7])
    (tmp_path / "odd.dbn").write_bytes(b"nonsense")

    catalog = scan(tmp_path)
    (info,), (unreadable,) = catalog.files, catalog.unreadable

    assert info.problem is not None
    assert "cut short inside record 10" in info.problem.message
    assert "odd.dbn" in unreadable.message


def test_an_archive_beside_its_unpacked_file_is_the_same_data(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    write_file(tmp_path, "trades", TRADES, compressed=True)
    assert len(scan(tmp_path).files) == 1


def test_a_folder_that_cannot_be_looked_into_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path, "trades", TRADES)
    walk = os.walk

    def closed(
        root: Path, onerror: Callable[[OSError], None], followlinks: bool
    ) -> Iterator[tuple[str, list[str], list[str]]]:
        onerror(OSError(errno.EACCES, "Permission denied", str(root / "MBP-10")))
        yield from walk(root)

    monkeypatch.setattr("os.walk", closed)
    catalog = scan(tmp_path)
    infos, (error,) = catalog.files, catalog.unreadable
    assert len(infos) == 1
    assert "MBP-10: cannot be looked into (Permission denied)" in error.message


def test_a_pipe_is_not_a_data_file(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    os.mkfifo(tmp_path / "trades" / "pipe.dbn")
    assert len(scan(tmp_path).files) == 1


def test_a_mark_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    (tmp_path / "metadata.json").write_text("{bad")
    (error,) = scan(tmp_path).unreadable
    assert "metadata.json: cannot be read" in error.message


def test_a_symbology_json_that_cannot_be_read_does_not_matter_beside_a_header(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    (tmp_path / "symbology.json").write_text("[]")
    catalog = scan(tmp_path)
    infos, unreadable = catalog.files, catalog.unreadable
    assert (len(infos), unreadable) == (1, [])


@pytest.mark.parametrize("make", [False, True])
def test_no_folder_or_nothing_in_it_is_an_error_of_its_own(tmp_path: Path, make: bool) -> None:
    root = tmp_path / "data"
    if make:
        root.mkdir()
    with pytest.raises(NoDataFolderError, match="no DBN files in" if make else "there is no data folder"):
        scan(root)


def test_links_are_followed_once_and_look_alikes_are_named(tmp_path: Path) -> None:
    root = tmp_path / "data"
    real = tmp_path / "elsewhere"
    write_file(real, "trades", TRADES)
    root.mkdir()
    (root / "trades").symlink_to(real / "trades")
    (root / "twice").symlink_to(real / "trades")
    (real / "trades" / "round").symlink_to(real / "trades")
    for name in ("y.dbn (1).zst", "y.dbn.zst.crdownload", "y.dbn.xz", "y.trades.zst"):
        (real / "trades" / name).write_bytes(b"x")
    (real / "trades" / b"odd-\xff.dbn".decode(errors="surrogateescape")).write_bytes(b"x")
    (root / "job.zip").write_bytes(b"PK")
    (root / "x.trades.csv.zst").write_bytes(b"x")
    (root / "X.DBN.ZST").write_bytes(b"x")
    (root / ".fetch").mkdir()
    (root / ".fetch" / "half.dbn.zst").write_bytes(b"x")
    catalog = scan(root)
    assert len(catalog.files) == 1
    assert catalog.unreadable == []
    assert {path.name for path, _ in catalog.passed_over} == {
        "job.zip", "x.trades.csv.zst", "X.DBN.ZST", "y.dbn (1).zst", "y.dbn.zst.crdownload", "y.dbn.xz",
        "y.trades.zst", "odd-\ufffd.dbn",
    }  # fmt: skip


def test_a_job_folder_with_nothing_but_its_manifest_misses_its_files(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "manifest.json").write_text(
        '{"files": [{"filename": "glbx-mdp3-20251217.trades.dbn.zst", "size": 3}]}'
    )
    assert [path.name for path in scan(tmp_path).missing] == ["glbx-mdp3-20251217.trades.dbn.zst"]
