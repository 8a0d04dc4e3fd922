"""Events on disk: in order, each once, bounded, and there for the next process."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from spyctl.live.pending import Pending
from spyctl.live.spool import Spool, spool_folder

LIMIT = 1_000_000


def events(first: int, count: int, feed: str = "stocks") -> list[Pending]:
    return [Pending(b'{"n": %d}' % n, f"T.{n}", "market.stocks.trades", feed, n) for n in range(first, first + count)]


def test_blocks_come_back_in_order_and_are_gone_once_acknowledged(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT, 0)
    assert spool.empty
    assert spool.append(events(0, 3))
    assert spool.append(events(3, 2))
    assert len(spool) == 5
    assert spool.read() == (events(0, 3), 0)
    assert (len(spool), spool.empty) == (2, False)
    spool.acknowledge(7)
    assert spool.read() == (events(3, 2), 0)
    spool.acknowledge(9)
    assert spool.empty
    assert {path.name for path in tmp_path.iterdir()} == {"lock"}
    spool.close()
    assert not tmp_path.exists()


def test_another_process_goes_on_with_what_was_not_acknowledged(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT, 40)
    for first in (0, 3, 6):
        spool.append(events(first, 3))
    spool.append(events(9, 1, feed=""))  # a gap record
    assert spool.in_doubt == (0, frozenset())  # nothing was published yet
    spool.acknowledge(None)
    spool.read()
    spool.acknowledge(47)
    spool.read()
    spool.close()
    (tmp_path / "000000000009-1-1.part").write_bytes(b"half a bl")

    spool = Spool(tmp_path, LIMIT, 60)
    assert (len(spool), spool.recovered) == (7, 6)
    assert spool.in_doubt == (47, frozenset({"T.3", "T.4", "T.5"}))
    spool.leave_out({"T.3", "T.4"})
    assert (len(spool), spool.recovered) == (5, 4)
    assert [event.identity for event in spool.read()[0]] == ["T.5"]
    spool.acknowledge(61)
    spool.append(events(20, 1))
    assert [event.received_ns for event in spool.read()[0]] == [0, 0, 0]  # nobody knows that clock any more
    spool.acknowledge(62)
    spool.read()
    spool.acknowledge(63)
    assert spool.read() == (events(20, 1), 0)
    spool.close()


def test_a_process_that_is_killed_before_it_has_an_answer_leaves_the_sequence_it_began_with(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT, 40)
    spool.append(events(0, 1))
    spool.acknowledge(None)
    spool.close()
    spool = Spool(tmp_path, LIMIT, 60)
    assert spool.in_doubt == (40, frozenset({"T.0"}))
    spool.close()


def test_its_bytes_are_limited_and_are_free_again_once_acknowledged(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 500, 0)
    taken = 0
    while spool.append(events(taken, 2)):
        taken += 2
    assert 0 < taken < 20
    assert sum(path.stat().st_size for path in tmp_path.glob("*.block")) <= 500
    spool.read()
    assert not spool.append(events(taken, 2))  # a block that is being published is still there
    spool.acknowledge(1)
    assert spool.append(events(taken, 2))
    spool.close()


def test_an_event_takes_few_bytes_on_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT, 0)
    payload = b'{"type":"Quote","symbol":"SPY","bid_px":680.%02d,"ask_px":680.%02d,"ts_event":17656%010d}'
    payloads = [payload % (n % 89, n % 97, n * 617) for n in range(5_000)]
    assert spool.append([Pending(text, f"T.{n}", "market", "stocks", n) for n, text in enumerate(payloads)])
    assert sum(path.stat().st_size for path in tmp_path.glob("*.block")) < 0.3 * sum(map(len, payloads))
    spool.close()


class Free:
    free = 1_000_000


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("name", "stand_in"),
    [("shutil.disk_usage", lambda _: Free()), ("os.fdopen", full_disk)],
)
def test_a_disk_without_room_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stand_in: Callable[..., object]
) -> None:
    spool = Spool(tmp_path, LIMIT, 0)
    with monkeypatch.context() as patch:
        patch.setattr(name, stand_in)
        assert not spool.append(events(0, 1))
    assert (len(spool), {path.name for path in tmp_path.iterdir()}) == (0, {"lock"})
    assert spool.append(events(0, 1))
    spool.close()


def cut(data: bytes) -> bytes:
    return data[:-5]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def overwritten(data: bytes) -> bytes:
    return bytes(len(data))


@pytest.mark.parametrize("damage", [cut, flipped, overwritten])
def test_a_block_that_cannot_be_read_is_told(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    spool = Spool(tmp_path, LIMIT, 0)
    spool.append([*events(0, 3), *events(3, 1, feed="")])
    spool.append(events(4, 1))
    spool.acknowledge(5)
    block = min(tmp_path.glob("*.block"))
    block.write_bytes(damage(block.read_bytes()))
    spool.leave_out({"T.0"})
    assert spool.in_doubt == (0, frozenset())
    assert spool.read() == ([], 3)
    spool.acknowledge(None)
    assert spool.read() == (events(4, 1), 0)
    spool.close()


def test_two_processes_do_not_use_one_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT, 0)
    with pytest.raises(OSError, match="unavailable"):
        Spool(tmp_path, LIMIT, 0)
    spool.close()
    Spool(tmp_path, LIMIT, 0).close()


def test_files_are_their_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        spool = Spool(tmp_path / "spool", LIMIT, 0)
        spool.append(events(0, 1))
        spool.acknowledge(1)
    finally:
        os.umask(before)
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()} == {0o600}
    spool.close()


def test_each_stream_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = spool_folder("MARKET_DATA", "2026-01-02T03:04:05Z")
    assert folder.parent == tmp_path / "spyctl" / "spool"
    assert folder == spool_folder("MARKET_DATA", "2026-01-02T03:04:05Z")
    assert len({folder, spool_folder("MARKET_DATA", "2026-01-03T03:04:05Z"), spool_folder("P_MARKET_DATA", "")}) == 3
