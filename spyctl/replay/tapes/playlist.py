"""Several tapes as one input: in the order in which the stream held their messages, each message once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spyctl.replay.tapes.lines import Lines
from spyctl.replay.tapes.reader import Findings, TapeReader


class Playlist:
    """Tapes of one stream; those that overlap are merged by stored time and sequence.

    ``groups`` are tapes that overlap among themselves; the groups follow one another. ``findings`` are those of the
    newest reading. A pipe can be read once.
    """

    def __init__(self, groups: Sequence[Sequence[Path | BinaryIO]], *, name: str = "") -> None:
        self.groups = groups
        self.findings = Findings()
        self._name = name

    def lines(self) -> Iterator[Lines]:
        """Yield the messages of all tapes; what is wrong with one goes to ``findings``."""
        self.findings = findings = Findings()
        for group in self.groups:
            readers = [TapeReader(source, findings, name=self._name) for source in group]
            yield from _merged([reader.lines() for reader in readers])


def _merged(inputs: Sequence[Iterator[Lines]]) -> Iterator[Lines]:
    # What all have read up to is final; what two of them hold is given once.
    if len(inputs) == 1:
        yield from inputs[0]
        return
    held: list[Lines | None] = [next(lines, None) for lines in inputs]
    while True:
        parts = [lines for lines in held if lines is not None]
        if not parts:
            return
        frontier_ns = min(int(lines.stored_ns.max()) for lines in parts)
        ready = []
        for i, lines in enumerate(held):
            if lines is None:
                continue
            count = int(np.searchsorted(np.maximum.accumulate(lines.stored_ns), frontier_ns, side="right"))
            ready.append(lines[:count])
            held[i] = lines[count:] if count < len(lines) else next(inputs[i], None)
        yield _once(ready)


def _once(parts: Sequence[Lines]) -> Lines:
    # Messages of several tapes as those of one, sorted, each once.
    offsets = np.cumsum([0, *(len(part.text) for part in parts[:-1])])
    text = b"".join(part.text for part in parts)
    starts = np.concatenate([part.starts + offset for part, offset in zip(parts, offsets, strict=True)])
    ends = np.concatenate([part.ends + offset for part, offset in zip(parts, offsets, strict=True)])
    ranks, seq, stored_ns, ts_event_ns, ts_recv_ns = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("ranks", "seq", "stored_ns", "ts_event_ns", "ts_recv_ns")
    )
    joined = Lines(text, starts, ends, ranks, seq, stored_ns, ts_event_ns, ts_recv_ns, [])
    order = np.lexsort((seq, stored_ns))
    again = np.zeros(len(order), bool)
    again[1:] = (np.diff(seq[order]) == 0) & (np.diff(stored_ns[order]) == 0) & (seq[order][1:] >= 0)
    return joined[order[~again]]
