"""The events of a tape as a table, Parquet or CSV: one row an event, one column a field; books have four a level."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import orjson

from spyctl.errors import PayloadError
from spyctl.market.events import BOOK_DEPTH, BidAskLevel, Event
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import HINTS, Kind, decode

_ROWS = 16_384
_UNFIT = (ValueError, TypeError, KeyError, IndexError, OverflowError)  # pyarrow's own errors are among them
_STREAM_COLUMNS = ("stream_seq", "stored_ns")  # where the stream held the message


class TableWriter:
    """Writes the events of one kind into a file, as ``parquet`` or ``csv``; :meth:`finish` puts it in place.

    ``rejected`` counts the messages that are no event of that kind. Raises :class:`OSError`.
    """

    def __init__(self, path: Path, kind: Kind, form: str) -> None:
        import pyarrow

        self.path = path
        self.rows = self.rejected = 0
        self._kind = kind
        self._columns = _columns(kind.event_type, nested=form == "parquet")
        fields = [(name, pyarrow.int64()) for name in _STREAM_COLUMNS]
        self._schema = pyarrow.schema(fields + [(name, kind_of()) for name, kind_of, _ in self._columns])
        self._part = path.with_name(f".{path.name}.part")
        self._writer = _opened(self._part, self._schema, form)
        self._held: list[StreamMessage] = []

    def add(self, messages: Sequence[StreamMessage]) -> None:
        """Append events in their order."""
        self._held += messages
        if len(self._held) >= _ROWS:
            self._flush()

    def finish(self) -> Path | None:
        """Put the file in place; ``None`` where there is no row."""
        self._flush()
        self._writer.close()
        if not self.rows:
            self._part.unlink()
            return None
        self._part.replace(self.path)
        return self.path

    def discard(self) -> None:
        """Leave nothing behind."""
        with suppress(Exception):
            self._writer.close()
        self._part.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._held:
            return
        try:
            batch = self._batch(self._held)
        except _UNFIT:
            good = [message for message in self._held if self._fits(message)]
            self.rejected += len(self._held) - len(good)
            batch = self._batch(good)
        if batch.num_rows:
            self._writer.write_batch(batch)
        self.rows += batch.num_rows
        self._held = []

    def _fits(self, message: StreamMessage) -> bool:
        try:
            event: Event = decode(message.subject, message.payload)
            self._batch([message])
        except (PayloadError, *_UNFIT):
            return False
        return isinstance(event, self._kind.event_type)

    def _batch(self, messages: Sequence[StreamMessage]) -> Any:
        import pyarrow

        documents = [orjson.loads(message.payload) for message in messages]
        values: list[list[Any]] = [[message.seq for message in messages], [message.stored_ns for message in messages]]
        values += [[get(document) for document in documents] for _, _, get in self._columns]
        arrays = [pyarrow.array(column, field.type) for column, field in zip(values, self._schema, strict=True)]
        return pyarrow.record_batch(arrays, schema=self._schema)


def _opened(path: Path, schema: Any, form: str) -> Any:
    if form == "parquet":
        from pyarrow.parquet import ParquetWriter

        return ParquetWriter(path, schema, compression="zstd")
    from pyarrow.csv import CSVWriter

    return CSVWriter(path, schema)


_Column = tuple[str, Callable[[], Any], Callable[[dict[str, Any]], Any]]  # name, type, and how to get the value


def _columns(event_type: type[Any], *, nested: bool) -> list[_Column]:
    columns: list[_Column] = []
    for name, hint in HINTS[event_type].items():
        if name == "levels":
            columns += [_level_column(number, part) for number in range(BOOK_DEPTH) for part in HINTS[BidAskLevel]]
        else:
            columns.append(_column(name, str(hint), hint, nested=nested))
    return columns


def _column(name: str, text: str, hint: Any, *, nested: bool) -> _Column:
    import pyarrow

    if "list[int]" in text:
        if nested:
            return name, lambda: pyarrow.list_(pyarrow.int64()), lambda event: event[name]
        return name, pyarrow.string, lambda event: _joined(event[name])
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return name, pyarrow.string, lambda event: event[name]
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return name, pyarrow.int8, lambda event: event[name]
    for word, kind in (("bool", pyarrow.bool_), ("float", pyarrow.float64), ("int", pyarrow.int64)):
        if word in text:
            return name, kind, lambda event: event[name]
    return name, pyarrow.string, lambda event: event[name]


def _level_column(number: int, part: str) -> _Column:
    import pyarrow

    kind = pyarrow.float64 if part.endswith("px") else pyarrow.int64
    return f"{part}_{number:02}", kind, lambda event: event["levels"][number][part]


def _joined(numbers: list[int] | None) -> str | None:
    return " ".join(map(str, numbers)) if numbers is not None else None
