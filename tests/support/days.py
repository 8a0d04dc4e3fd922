"""Small days of any shape, and what a plain look at all of their events says."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from spyctl.dbn.sort_times import Selection
from spyctl.market.encode import encode_batch
from spyctl.replay.file_source import FileSource
from spyctl.replay.segments import Cursor
from spyctl.replay.source import DBNIngestor, Reading, read_batches
from tests.support.records import DAY, MS, SECOND, T0, book, level, trade, write_file

ONE_DAY = 86_400 * SECOND
SYMBOLS = {1: "A", 2: "B", 3: "C"}
MAPPINGS = {name: [(DAY, DAY + timedelta(3), str(number))] for number, name in SYMBOLS.items()}
_TICK = 250_000_000

# A record: how long after the one before it was received, how long before that it happened, instrument, size, spread.
RECORDS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 1, 5, 400, 2_000, 20_000]),
        st.sampled_from([0, 0, 0, 1, 6, 900, 1_500]),  # the last is late
        st.sampled_from(list(SYMBOLS)),
        st.sampled_from([1, 50, 51]),
        st.sampled_from([1, 1, 2]),
    ),
    max_size=9,
)
FILES = st.lists(
    st.tuples(st.sampled_from(["trades", "mbp-10"]), st.integers(0, 1), st.booleans(), RECORDS),
    min_size=1,
    max_size=4,
    unique_by=lambda file: file[:2],
)
File = tuple[str, int, bool, list[tuple[int, int, int, int, int]]]


@dataclass
class Plain:
    """All events of a source in order, one array a column; ``cursors`` are their places."""

    source: FileSource
    sort_ns: "np.ndarray[Any, Any]"
    books: "np.ndarray[Any, Any]"
    late: "np.ndarray[Any, Any]"
    sizes: list[int]
    spreads: list[int]
    symbols: list[str]
    payloads: list[bytes]

    @property
    def cursors(self) -> list[Cursor]:
        firsts = np.searchsorted(self.sort_ns, self.sort_ns)
        return [Cursor(int(ns), i - int(first)) for i, (ns, first) in enumerate(zip(self.sort_ns, firsts, strict=True))]

    def index(self, place: Cursor) -> int:
        """Return how many events come before a place."""
        return int(np.searchsorted(self.sort_ns, place.sort_ns)) + place.ordinal

    def places(self) -> list[Cursor]:
        """List every place that is one: at each event, at and behind each instant."""
        around = {Cursor(int(ns) + shift) for ns in self.sort_ns for shift in (-1, 1, SECOND)}
        ends = {Cursor(int(ns), int((self.sort_ns == ns).sum())) for ns in self.sort_ns}
        return sorted({*self.cursors, *around, *ends, Cursor(), Cursor(T0 - ONE_DAY), Cursor(T0 + 9 * ONE_DAY)})


@contextmanager
def written(files: Sequence[File], selection: Selection | None = None) -> Iterator[Plain]:
    """Write files and look at all that they hold."""
    with tempfile.TemporaryDirectory() as folder:
        for schema, day, compressed, records in files:
            _write(Path(folder), schema, day, records, compressed=compressed)
        source = FileSource(tuple(DBNIngestor(Path(folder)).discover_files()), selection or Selection())
        yield plain(source)


def _write(root: Path, schema: str, day: int, records: Any, *, compressed: bool) -> None:
    made, recv_ns = [], T0 + day * ONE_DAY
    for number, (gap_ms, before_ms, instrument, size, ticks) in enumerate(records):
        recv_ns += gap_ms * MS
        common = {"instrument_id": instrument, "sequence": number, "size": size}
        if schema == "trades":
            made.append(trade(recv_ns - before_ms * MS, recv_ns, **common))
        else:
            levels = [level(100 * _TICK, (100 + ticks) * _TICK) for _ in range(10)]
            made.append(book(recv_ns - before_ms * MS, recv_ns, levels=levels, **common))
    names = {"symbols": tuple(MAPPINGS), "mappings": MAPPINGS, "stype_in": "raw_symbol"}
    midnight = T0 // ONE_DAY * ONE_DAY + day * ONE_DAY
    span = {"start": midnight, "end": midnight + ONE_DAY}
    write_file(root, schema, made, day=DAY + timedelta(day), compressed=compressed, **names, **span)


def plain(source: FileSource) -> Plain:
    """Look at all events of a source."""
    columns: dict[str, list[Any]] = {name: [] for name in ("sort_ns", "late")}
    books, sizes, spreads, symbols, payloads = [], [], [], [], []  # type: ignore[var-annotated]
    for batch in read_batches(source.infos, source.selection, Reading()):
        trades = len(batch.parts[0])
        for name, values in columns.items():
            values += batch.column(name).tolist()
        books += batch.is_book().tolist()
        symbols += [batch.names.texts[number] for number in batch.column("symbol").tolist()]
        for row in batch.order.tolist():
            sizes.append(int(batch.parts[0]["size"][row]) if row < trades else 0)
            best = batch.parts[1]["levels"][row - trades, 0] if row >= trades else None
            spreads.append(int(best["ask_px"] - best["bid_px"]) if best is not None else 0)
        payloads += [payload for piece in encode_batch(batch) for payload in piece.payloads()]
    return Plain(
        source, np.array(columns["sort_ns"], np.int64), np.array(books, bool), np.array(columns["late"], bool), sizes,
        spreads, symbols, payloads,
    )  # fmt: skip


async def no_turn(_: float) -> None:
    """Give nobody a turn."""


def run(search: Any) -> Any:
    """Wait for a search."""
    return asyncio.run(search)
