"""Futures events → a DBN file, by the vendor's own records, so that whatever reads DBN reads them.

Only what an event carries is written: its times, symbol, prices, sizes, aggressor, sequence and snapshot flag. An
instrument gets a number of its own in the order of appearance, or the one that its symbol is; the header maps the two.
"""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from shutil import copyfileobj
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import zstandard

from spyctl.dbn.sort_times import F_SNAPSHOT
from spyctl.market.events import MBP10, Aggressor, FuturesTrade
from spyctl.timing.instants import date_of

DATASET, EXCHANGE, PUBLISHER = "GLBX.MDP3", "CME", 1
_F_LAST = 128
_SCALE = 10**9
_FRAME_BYTES = 1 << 22
_SIDES = {
    Aggressor.BUY: dbn.Side.from_str("B"), Aggressor.SELL: dbn.Side.from_str("A"), Aggressor.MID: dbn.Side.from_str("N")
}  # fmt: skip
_TRADE, _NO_ACTION = dbn.Action.from_str("T"), dbn.Action.from_str("N")


class DBNExport:
    """Writes the events of one schema into a folder; :meth:`finish` gives the file its name.

    ``unfit`` counts the events that DBN cannot hold: of another exchange, without a sequence, or with a number that is
    too large. Raises :class:`OSError`, :class:`FileExistsError` unless it may ``overwrite``.
    """

    def __init__(self, folder: Path, schema: str, *, overwrite: bool = False) -> None:
        self.records = self.unfit = 0
        self._folder = folder
        self._schema = schema
        self._overwrite = overwrite
        self._ids: dict[str, int] = {}
        self._first_ns = self._last_ns = 0
        self._held: list[bytes] = []
        self._size = 0
        self._compressor = zstandard.ZstdCompressor(write_content_size=True)
        self._part = folder / f".{schema}.{os.getpid()}.part"
        self._file = self._part.open("w+b")

    def add(self, events: Sequence[FuturesTrade | MBP10]) -> None:
        """Append events in their order."""
        for event in events:
            if event.seq is None or (isinstance(event, FuturesTrade) and event.exchange != EXCHANGE):
                self.unfit += 1
                continue
            try:
                record = bytes(self._record(event))
            except (OverflowError, ValueError, TypeError):
                self.unfit += 1
                continue
            self._first_ns = self._first_ns or event.ts_recv_ns
            self._first_ns = min(self._first_ns, event.ts_recv_ns)
            self._last_ns = max(self._last_ns, event.ts_recv_ns)
            self._held.append(record)
            self._size += len(record)
            self.records += 1
        if self._size >= _FRAME_BYTES:
            self._flush()

    def finish(self) -> Path | None:
        """Put the file in place, named as the vendor's are; ``None`` where there is no record."""
        self._flush()
        if not self.records:
            self.discard()
            return None
        first, last = date_of(self._first_ns), date_of(self._last_ns)
        days = f"{first:%Y%m%d}" if first == last else f"{first:%Y%m%d}-{last:%Y%m%d}"
        path = self._folder / f"{DATASET.lower().replace('.', '-')}-{days}.{self._schema}.dbn.zst"
        if path.exists() and not self._overwrite:
            raise FileExistsError(errno.EEXIST, "it is there already", str(path))
        whole = path.with_name(f".{path.name}.part")
        self._file.seek(0)
        with whole.open("wb") as file:
            file.write(self._compressor.compress(self._header()))
            copyfileobj(self._file, file)
        self.discard()
        whole.replace(path)
        return path

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)

    def _record(self, event: FuturesTrade | MBP10) -> "dbn.TradeMsg | dbn.MBP10Msg":
        common: dict[str, Any] = {
            "publisher_id": PUBLISHER,
            "instrument_id": self._id(event.symbol),
            "ts_event": event.ts_event_ns,
            "ts_recv": event.ts_recv_ns,
            "ts_in_delta": 0,
            "depth": 0,
            "sequence": event.seq,
        }
        if isinstance(event, FuturesTrade):
            return dbn.TradeMsg(
                **common, price=fixed(event.price), size=event.size, action=_TRADE,
                side=_SIDES[event.aggressor], flags=0,
            )  # fmt: skip
        levels = [
            dbn.BidAskPair(fixed(level.bid_px), fixed(level.ask_px), level.bid_sz, level.ask_sz, 0, 0)
            for level in event.levels
        ]
        return dbn.MBP10Msg(
            **common, price=dbn.UNDEF_PRICE, size=0, action=_NO_ACTION, side=_SIDES[Aggressor.MID],
            flags=_F_LAST | (F_SNAPSHOT if event.is_snapshot else 0), levels=levels,
        )  # fmt: skip

    def _id(self, symbol: str) -> int:
        if symbol not in self._ids:
            taken = set(self._ids.values())
            own = int(symbol) if symbol.isascii() and symbol.isdigit() and len(symbol) < 10 else 0
            number = own if own and own not in taken else 1
            while number in taken:
                number += 1
            self._ids[symbol] = number
        return self._ids[symbol]

    def _header(self) -> bytes:
        first, end = date_of(self._first_ns), date_of(self._last_ns) + timedelta(days=1)
        mappings = [
            SimpleNamespace(
                raw_symbol=symbol,
                intervals=[SimpleNamespace(start_date=first, end_date=end, symbol=str(number))],
            )
            for symbol, number in self._ids.items()
        ]
        return bytes(
            dbn.Metadata(
                DATASET,
                self._first_ns,
                dbn.SType.from_str("raw_symbol"),
                dbn.SType.from_str("instrument_id"),
                dbn.Schema.from_str(self._schema),
                symbols=list(self._ids),
                mappings=mappings,
                end=self._last_ns + 1,
                version=1 if all(len(symbol) < 22 for symbol in self._ids) else 2,
            )
        )

    def _flush(self) -> None:
        if self._held:
            self._file.write(self._compressor.compress(b"".join(self._held)))
            self._held, self._size = [], 0


def fixed(price: float | None) -> int:
    """Return a price in units of 1e-9, the one that gives this price when it is divided; ``None`` is undefined."""
    if price is None:
        return int(dbn.UNDEF_PRICE)
    number = round(price * _SCALE)
    if number / 1e9 == price:
        return number
    from decimal import Decimal

    return int(Decimal(repr(price)) * _SCALE)
