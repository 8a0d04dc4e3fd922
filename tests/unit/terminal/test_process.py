"""What the process uses of the machine."""

import time

import pytest

from spyctl.terminal import process
from spyctl.terminal.process import Usage, keep_freed_memory


def test_usage_is_a_share_of_the_time_since_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic_ns", lambda: 1_000)
    monkeypatch.setattr(time, "process_time_ns", lambda: 500)
    usage = Usage.now()
    usage.drawing_ns += 10
    monkeypatch.setattr(time, "monotonic_ns", lambda: 1_200)
    monkeypatch.setattr(time, "process_time_ns", lambda: 600)
    now = usage.since()
    assert (now.cpu, now.drawing) == (0.5, 0.05)
    assert now.memory > 1_000_000


def test_memory_is_known_where_there_is_no_proc_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_proc(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", no_proc)
    assert Usage.now().since().memory > 0


def test_freed_memory_is_kept_only_where_the_c_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []

    class Glibc:
        def __init__(self, _: None) -> None:
            pass

        def mallopt(self, option: int, value: int) -> int:
            calls.append((option, value))
            return 1

    monkeypatch.setattr(process.ctypes, "CDLL", Glibc)
    keep_freed_memory()
    assert calls == [(-1, 64 << 20), (-3, 32 << 20)]

    class Other:
        def __init__(self, _: None) -> None:
            pass

    monkeypatch.setattr(process.ctypes, "CDLL", Other)
    keep_freed_memory()
    assert len(calls) == 2
