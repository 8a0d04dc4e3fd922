"""Tapes that grow while they are played: at their end more is waited for."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from spyctl.replay.tapes.lines import NO_LINES, Lines
from spyctl.replay.tapes.playlist import BEGINNING, Playlist, Start
from spyctl.replay.tapes.reader import Findings, TapeReader


class Growth(Protocol):
    """What writes the tapes: how much of each can be read so far, and whether nothing more will come."""

    @property
    def tapes(self) -> Sequence[tuple[Path, int]]: ...

    @property
    def ended(self) -> bool:
        """Raises what ended it early."""
        ...


class GrowingPlaylist(Playlist):
    """The tapes of one stream in a folder, the last of which grows."""

    def __init__(self, growth: Growth) -> None:
        super().__init__([[path] for path, _ in growth.tapes])
        self._growth = growth

    def lines(self, start: Start = BEGINNING, findings: Findings | None = None) -> Iterator[Lines]:
        """Yield the messages of all tapes from a place on, and :data:`NO_LINES` while none has come."""
        findings = findings if findings is not None else Findings()
        number, place = start.group, start.place
        while True:
            ended, tapes = self._growth.ended, self._growth.tapes  # in this order: what came before the end is read
            path, size = tapes[number]
            reader, read = TapeReader(path, findings, size=size), False
            for lines in reader.lines(place):
                yield lines
                read, place = True, reader.place
            if read:
                continue
            if number + 1 < len(tapes):
                number, place = number + 1, None
            elif ended:
                return
            else:
                yield NO_LINES

    def prepare(self) -> None:
        """Find the milestones of all tapes so far."""
        self.groups = [[path] for path, _ in self._growth.tapes]
        super().prepare()
