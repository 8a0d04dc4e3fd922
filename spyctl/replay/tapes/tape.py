"""A tape as an iterable of events: the Python API over :class:`TapeReader`."""

from collections.abc import Iterator
from pathlib import Path

from spyctl.errors import NoDataFolderError, PayloadError, path_text
from spyctl.market.events import Event
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import decode
from spyctl.replay.tapes.reader import Findings, TapeReader


class Tape:
    """A recorded tape, ``.jsonl.zst`` or ``.jsonl``; iterating gives its events in stored order.

    ``findings`` say what the last iteration has left out, and why. Raises :class:`NoDataError` where there is no such
    file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.findings = Findings()
        if not self.path.is_file():
            raise NoDataFolderError(f"there is no tape {path_text(self.path)}")

    def __iter__(self) -> Iterator[Event]:
        """Iterate over the events; raises :class:`DamagedFileError` behind the last one that is whole."""
        for message in self.messages():
            try:
                event = decode(message.subject, message.payload)
            except PayloadError as error:
                place = f"{self.path}: sequence {message.seq:,}: {error.message}"
                self.findings.reject("no_event", place)
                continue
            yield event

    def messages(self) -> Iterator[StreamMessage]:
        """Iterate over the messages with their payloads as they were stored; raises like the iteration."""
        self.findings = Findings()
        reader = TapeReader(self.path, self.findings)
        for lines in reader.lines():
            yield from lines.messages(reader.subjects)
        if self.findings.damage:
            raise self.findings.damage[0]
