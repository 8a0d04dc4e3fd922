"""Bends inputs until something breaks; what leads to new lines of the product, or to a new result, is bent further.

``python -m tests.fuzz TARGET COUNT [SEED]`` hunts by hand, and keeps in ``corpus/`` what was new.
"""

import resource
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import spyctl

CORPUS = Path(__file__).parent / "corpus"
LONGEST_S = 10.0  # of CPU; what takes longer hangs
GROWTH_KB = 400_000  # more than that is growth
_PRODUCT = str(Path(spyctl.__file__).parent)
_TRACED_EVERY = 16  # tracing makes an input ten times as slow
_LARGEST, _MOST = 8_192, 400  # bytes of an input that is kept, and how many are
_EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)


class FaultError(AssertionError):
    """An input that is not survived."""


@dataclass(frozen=True)
class Target:
    """What reads bytes from outside: ``check`` returns what came of them, and raises where that is wrong.

    ``seeds`` are whole inputs, ``words`` what may be put into them.
    """

    name: str
    check: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()

    @property
    def kept(self) -> list[bytes]:
        """The inputs that were kept from earlier hunts."""
        path = CORPUS / f"{self.name}.txt"
        return [b64decode(line) for line in path.read_text().split()] if path.exists() else []

    def keep(self, inputs: list[bytes]) -> None:
        """Keep inputs for later hunts."""
        lines = [b64encode(data).decode() + "\n" for data in inputs]
        (CORPUS / f"{self.name}.txt").write_text("".join(lines))


class Hunt:
    """One hunt, which its target and its seed repeat exactly; ``found`` is what was new in it."""

    def __init__(self, target: Target, seed: int = 0) -> None:
        self.found: list[bytes] = []
        self._target = target
        self._rng = Random(f"{target.name} {seed}")
        self._corpus: list[bytes] = []
        self._results: set[object] = set()
        self._lines: set[tuple[str, int]] = set()

    def run(self, count: int) -> None:
        """Try the seeds, what was kept, and so many bent inputs. Raises :class:`FaultError`."""
        before_kb = 0
        for data in (*self._target.seeds, *self._target.kept):
            self._try(data, traced=True, given=True)
        for number in range(count):
            self._try(self._bent(), traced=number % _TRACED_EVERY == 0)
            if number == min(count, 1_000) - 1:
                before_kb = _peak_kb()
        if _peak_kb() - before_kb > GROWTH_KB and count > 1_000:
            raise FaultError(f"{self._target.name}: memory grew by {_peak_kb() - before_kb:,} kB")

    def distill(self, inputs: Iterable[bytes]) -> list[bytes]:
        """Return those of some inputs that reach something which no smaller one reaches."""
        return [data for data in sorted(inputs, key=len) if self._try(data, traced=True)]

    def _try(self, data: bytes, *, traced: bool, given: bool = False) -> bool:
        began_s, lines = time.process_time(), len(self._lines)
        if traced:
            sys.settrace(self._trace)
        try:
            result = self._target.check(data)
        except Exception as error:
            raise FaultError(f"{self._target.name}: {error!r}\ninput: {b64encode(data).decode()}") from error
        finally:
            if traced:
                sys.settrace(None)
        if (took_s := time.process_time() - began_s) > LONGEST_S:
            raise FaultError(f"{self._target.name}: {took_s:.1f} s for {b64encode(data).decode()}")
        new = result not in self._results or len(self._lines) > lines
        self._results.add(result)
        if given or (new and len(data) <= _LARGEST and len(self._corpus) < _MOST):
            self._corpus.append(data)
            self.found += [] if given else [data]
        return new

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(_PRODUCT):
            return None
        if event == "line":
            self._lines.add((name, frame.f_lineno))
        return self._trace

    def _bent(self) -> bytes:
        rng, data = self._rng, bytearray(self._rng.choice(self._corpus))
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 6))):
            at = rng.randint(0, len(data))
            length = min(rng.choice((1, 1, 2, 4, 8, 40)), len(data) - at)
            match rng.randrange(9):
                case 0 if at < len(data):
                    data[at] ^= 1 << rng.randrange(8)
                case 1:
                    data[at : at + length] = rng.randbytes(length)
                case 2:
                    del data[at : at + length]
                case 3:
                    data[at:at] = data[at : at + length] * rng.choice((1, 2, 40))
                case 4 if self._target.words:
                    data[at : at + rng.choice((0, length))] = rng.choice(self._target.words)
                case 5:
                    other = rng.choice(self._corpus)
                    start = rng.randint(0, len(other))
                    data[at:] = other[start:]
                case 6:
                    size = rng.choice((1, 2, 4, 8))
                    data[at : at + size] = (rng.choice(_EDGES) % (1 << 8 * size)).to_bytes(size, "little")
                case 7:
                    data[at : at + length] = str(rng.choice(_EDGES) * rng.choice((1, -1))).encode()
                case _:
                    del data[at:]
        return bytes(data)


def _peak_kb() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1_024 if sys.platform == "darwin" else peak
