"""The compiled kernel: which of two writes, that nothing leaves its bounds, and the same bytes as numpy's."""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spyctl.errors import UsageError
from spyctl.market import encode, kernel
from spyctl.market.columns import MBP10_DTYPE, TRADE_DTYPE, Batch, Names
from spyctl.market.encode import encode_batch
from spyctl.market.event_texts import literals
from spyctl.market.events import EventSource
from spyctl.market.kernel import Kernel, encoder
from tests.conftest import ROOT
from tests.support.kernels import FLAGS, built_kernel, encoded_by

T0 = 1_765_900_000_000_000_000
LITERALS = (*literals(EventSource.DIRECT_FEED).trade, *literals(EventSource.DIRECT_FEED).level)
LITERALS += literals(EventSource.DIRECT_FEED).book
IN_THE_WAY = (ValueError, TypeError, IndexError, BufferError)


@pytest.fixture
def compiled() -> Kernel:
    if (found := built_kernel()) is None:
        pytest.skip("there is no C compiler")
    return found


def rows(trades: int, books: int) -> tuple[Any, Any]:
    both = np.zeros(trades, TRADE_DTYPE), np.zeros(books, MBP10_DTYPE)
    for part in both:
        part["ts_event_ns"] = part["ts_recv_ns"] = T0 + np.arange(len(part))
        part["seq"] = np.arange(len(part))
    both[0]["price"], both[0]["exchange"] = 6_800_250_000_000, b"CME"
    both[1]["levels"]["bid_px"], both[1]["levels"]["ask_px"] = 6_800_250_000_000, 6_800_500_000_000
    return both


def a_batch(trades: int, books: int, *symbols: str) -> Batch:
    names = Names()
    for symbol in symbols or ("ES",):
        names.number(symbol)
    return Batch(rows(trades, books), np.arange(trades + books), names)


def encoded(batch: Batch, by: Kernel | None) -> list[bytes]:
    with encoded_by(by):
        return [payload for piece in encode_batch(batch) for payload in piece.payloads()]


# --- which of two


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    encoder.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    encoder.cache_clear()


def provide(patch: pytest.MonkeyPatch, found: object) -> None:
    def load(_: str) -> object:
        if isinstance(found, Exception):
            raise found
        return found

    patch.setattr(kernel, "import_module", load)


@pytest.mark.parametrize("asked", ["", "auto", "compiled"])
def test_a_kernel_that_was_built_writes(fresh: pytest.MonkeyPatch, asked: str) -> None:
    module = SimpleNamespace()
    fresh.setenv("SPYCTL_IMPL", asked)
    provide(fresh, module)
    assert (encoder().name, encoder().kernel, encoder().reason) == ("compiled", module, None)


def test_numpy_writes_where_it_is_asked_for(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("SPYCTL_IMPL", "numpy")
    provide(fresh, SimpleNamespace())
    assert (encoder().name, encoder().reason) == ("numpy", "SPYCTL_IMPL=numpy")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModuleNotFoundError("No module named 'spyctl.market._kernel'"), "the compiled kernel was not built"),
        (ImportError("_kernel.abi3.so: invalid ELF header"), "_kernel.abi3.so: invalid ELF header"),
    ],
)
def test_numpy_writes_where_there_is_no_kernel_and_why_is_told(
    fresh: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    fresh.delenv("SPYCTL_IMPL", raising=False)
    provide(fresh, error)
    assert (encoder().name, encoder().reason) == ("numpy", reason)
    encoder.cache_clear()
    fresh.setenv("SPYCTL_IMPL", "compiled")
    with pytest.raises(UsageError, match=re.escape(f"SPYCTL_IMPL=compiled: {reason}")) as caught:
        encoder()
    assert "C compiler" in str(caught.value.remedy)


def test_another_word_is_refused(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("SPYCTL_IMPL", "rust")
    with pytest.raises(UsageError, match="SPYCTL_IMPL is 'rust'"):
        encoder()


# --- the same bytes


def test_the_kernel_writes_what_it_can_and_leaves_the_rest_to_numpy(
    compiled: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_numpy: list[int] = []
    gathered = encode._gathered
    monkeypatch.setattr(encode, "_gathered", lambda *given: by_numpy.append(1) or gathered(*given))  # type: ignore[func-returns-value]

    assert len(encoded(a_batch(3, 3), compiled)) == 6
    assert not by_numpy
    changes: list[tuple[int, str, object]] = [(0, "price", value) for value in (10**15, 999_999, -(2**63))]
    changes += [(0, "ts_recv_ns", 10**18 - 1), (1, "ts_event_ns", 5)]
    for part, column, value in changes:
        batch = a_batch(3, 3)
        batch.parts[part][column][1] = value
        assert encoded(batch, compiled) == encoded(batch, None)
        assert len(by_numpy) == 2
        by_numpy.clear()
    for side, value in itertools.product(("bid_px", "ask_px"), (123_456_789_012_345_678, -999)):
        batch = a_batch(3, 3)
        batch.parts[1]["levels"][side][1, 9] = value
        assert encoded(batch, compiled) == encoded(batch, None)
        assert len(by_numpy) == 2
        by_numpy.clear()


def test_levels_that_did_not_change_are_those_of_the_same_symbol(compiled: Kernel) -> None:
    batch = a_batch(0, 40, "ES", "NQ", "é")
    books, random = batch.parts[1], np.random.default_rng(5)
    books["symbol"] = random.integers(0, 3, 40)
    for i in range(40):
        books["levels"]["bid_sz"][i:, random.integers(0, 10)] = random.choice([7, 99, 10_000, 4_294_967_295])
    batch.order = random.permutation(40)
    assert encoded(batch, compiled) == encoded(batch, None)


# --- bounds


def arguments(room: int = 100_000) -> dict[str, Any]:
    trades, books = rows(3, 3)
    return {
        "trades": trades, "books": books, "order": np.arange(6), "symbols": np.array([b'"ES"']), "width": 4,
        "literals": LITERALS, "data": np.empty(room, np.uint8), "ends": np.zeros(6, np.intp),
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"order": np.array([0, 6])},
        {"order": np.array([-1])},
        {"order": np.array([2**62])},
        {"data": np.empty(3_000, np.uint8)},
        {"data": np.empty(0, np.uint8)},
        {"literals": LITERALS[:-1]},
        {"literals": (*LITERALS[:-1], b"x" * 49)},
        {"literals": (*LITERALS[:-1], "text")},
        {"data": b"not to be written"},
        {"ends": np.arange(6)[::2]},
    ],
    ids=lambda change: "-".join(change),
)
def test_what_does_not_fit_is_an_error(compiled: Kernel, change: dict[str, Any]) -> None:
    with pytest.raises(IN_THE_WAY):
        compiled.encode(*(arguments() | change).values())
    with pytest.raises(TypeError):
        compiled.encode(*list(arguments().values())[:-1])


@pytest.mark.parametrize(
    "change",
    [
        {"symbols": np.array([], "S4")},
        {"width": 0},
        {"width": -5},
        {"width": 2**60},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_symbol_that_is_not_there_is_left_to_numpy(compiled: Kernel, change: dict[str, Any]) -> None:
    try:
        assert compiled.encode(*(arguments() | change).values()) == -1
    except IndexError:
        assert change["width"] > 1_000  # no room for one so long


def test_no_more_is_written_than_there_is_room_for(compiled: Kernel) -> None:
    given = arguments()
    whole = compiled.encode(*given.values())
    for room in range(0, whole + compiled.ROOM + 8, 97):
        data = np.full(room + 64, 0xAA, np.uint8)
        try:
            written = compiled.encode(*(given | {"data": data[:room]}).values())
        except IndexError:
            written = -1
        assert written in (-1, whole)
        assert (data[room:] == 0xAA).all()
    assert compiled.encode(*(given | {"ends": np.zeros(4, np.intp)}).values()) == given["ends"][3]


def frame_arguments() -> dict[str, Any]:
    return {
        "texts": np.frombuffer(b"onetwothree", np.uint8), "starts": np.array([0, 3, 6]), "lengths": np.array([3, 3, 5]),
        "ranks": np.array([0, 1, 0], np.uint8), "heads": (b"PUB a r.", b"PUB b r."), "first": 9, "tail": b".x ",
        "data": np.full(300, 0xAA, np.uint8),
    }  # fmt: skip


def test_messages_are_framed_one_behind_the_other(compiled: Kernel) -> None:
    given = frame_arguments()
    count = compiled.frame(*given.values())
    framed = b"PUB a r.9.x 3\r\none\r\nPUB b r.10.x 3\r\ntwo\r\nPUB a r.11.x 5\r\nthree\r\n"
    assert given["data"][:count].tobytes() == framed
    assert (given["data"][count:] == 0xAA).all()


@pytest.mark.parametrize(
    "change",
    [
        {"starts": np.array([0, 3, 7])},
        {"starts": np.array([0, -1, 6])},
        {"starts": np.array([0, 3])},
        {"lengths": np.array([3, -3, 5])},
        {"lengths": np.array([3, 2**62, 5])},
        {"lengths": np.array([3, 3, 5, 1])},
        {"ranks": np.array([0, 2, 0], np.uint8)},
        {"heads": (b"PUB a r.", "text")},
        {"heads": ()},
        {"data": np.empty(60, np.uint8)},
        {"data": b""},
        {"tail": b"x" * 300},
    ],
    ids=lambda change: "-".join(change),
)
def test_a_frame_that_does_not_fit_is_an_error(compiled: Kernel, change: dict[str, Any]) -> None:
    with pytest.raises(IN_THE_WAY):
        compiled.frame(*(frame_arguments() | change).values())


# --- how it is built


def test_it_is_small() -> None:
    text = (ROOT / "spyctl/market/kernel.c").read_text()
    code = [line for line in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).splitlines() if line.strip()]
    assert len(code) <= 250


def test_without_a_compiler_an_installation_says_so_and_goes_on(tmp_path: Path) -> None:
    hook = (
        "from types import SimpleNamespace as S; import hatch_build, sys\n"
        "app = S(display_warning=lambda text: print(text))\n"
        "hook = hatch_build.KernelHook(sys.argv[1], {}, None, None, sys.argv[1], 'wheel', app)\n"
        "data = {'artifacts': []}; hook.initialize('standard', data); print(data)"
    )
    source = tmp_path / "spyctl" / "market"
    source.mkdir(parents=True)
    (source / "kernel.c").write_bytes((ROOT / "spyctl/market/kernel.c").read_bytes())
    (source / "_kernel.abi3.so").write_bytes(b"of an earlier version")
    environment = os.environ | {"CC": "/nonexistent/cc", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", hook, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert "the compiled kernel was not built, numpy does its work" in result.stdout, result.stderr
    assert result.stdout.endswith("{'artifacts': []}\n")
    assert not (source / "_kernel.abi3.so").exists()


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_sanitizer_finds_nothing(compiled: Kernel) -> None:
    library = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    environment = os.environ | {
        FLAGS: "-fsanitize=address,undefined -fno-sanitize-recover=all -g",
        "LD_PRELOAD": library.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    tests = ["tests/unit/market/test_kernel.py", "tests/unit/market/test_encode.py", "tests/unit/bus/test_frames.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not soak", *tests]
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-3_000:] + result.stderr[-3_000:]
