"""Synthetic ES days: files in the vendor's format, with made-up records.

The structure follows what real files show: DBN version 1, the metadata in a zstd frame of its own, flags 0 on
trades, 130 on book changes and 168 on the midnight snapshot, a trade followed by its book change with the same
times, packets that share ``ts_recv``, prints without an aggressor, missing levels, the daily break.
The prices are a random walk; they mean nothing.
"""

import hashlib
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import databento_dbn as dbn
import orjson
import zstandard

from spyctl.dbn.synthetic import Change, Stamp, SyntheticMarket
from spyctl.market.sessions import is_trading_day, regular_session, trading_day
from spyctl.timing.instants import DAY, MS, SECOND, US, clock_text, day_number

DATASET = "GLBX.MDP3"
SYMBOL = "ES.c.0"
FOLDERS = {"trades": "trades", "mbp-10": "MBP-10"}
DEFAULT_RATE = 75.0
DEFAULT_SEED = 7
_FRAME_BYTES = 4 << 20
_ZSTD_LEVEL = 9
_FIRST_QUARTER = 2025 * 4 + 3  # the front contract of December 2025 has the id below, each later one 1,009 more
_FIRST_ID = 294_973
_FLAGS_SNAPSHOT = dbn.F_LAST | dbn.F_SNAPSHOT | dbn.F_BAD_TS_RECV


def front_contract(day: date) -> tuple[int, date, date]:
    """Return the instrument id of the front contract on a day and the days ``[first, end)`` of its turn.

    A contract leaves on the Saturday after the third Friday of March, June, September and December.
    """
    quarter = day.year * 4 + (day.month - 1) // 3
    if day >= _roll(quarter):
        quarter += 1
    return _FIRST_ID + 1_009 * (quarter - _FIRST_QUARTER), _roll(quarter - 1), _roll(quarter)


def _roll(quarter: int) -> date:
    first = date(quarter // 4, quarter % 4 * 3 + 3, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 15)


def _intensity(ns: int, session_open: int | None) -> float:
    # Events per second, relative to a calm minute: a burst at the open of stocks that fades within minutes.
    if session_open is None:
        return 1.0
    since = (ns - session_open) / SECOND
    if since < 0:
        return 0.75
    return 1.0 + 5.0 * math.exp2(-since / 12) + 0.8 * math.exp2(-since / 180)


def _write_records(writers: "_Writers", day: date, start_ns: int, end_ns: int, rate: float, seed: int) -> None:
    market = SyntheticMarket(seed, day)
    rng = market.rng
    instrument_id, _, _ = front_contract(day)
    opens_ns = regular_session(day)[0] if is_trading_day(day) else None
    pause_from, pause_to = trading_day(day)[1], trading_day(day + timedelta(days=1))[0]
    sequence = 531 + (start_ns % DAY) // MS
    recv_ns = start_ns
    packet_left = 0
    ts_ns = start_ns + int(rng.expovariate(rate) * SECOND)

    if start_ns % DAY == 0:
        state = Change(dbn.Action.ADD, dbn.Side.NONE, market.bids.best, market.bids.sizes[0], 0)
        stamp = Stamp(instrument_id, start_ns - rng.randrange(MS, 40 * MS), recv_ns, 0, sequence)
        writers.mbp10.add(market.book(state, stamp, _FLAGS_SNAPSHOT))
    while ts_ns < end_ns:
        if pause_from <= ts_ns < pause_to or day.weekday() == 5:
            ts_ns = pause_to if day.weekday() not in (4, 5) else end_ns
            continue
        if day.weekday() == 6 and ts_ns < pause_to:
            ts_ns = pause_to
            continue
        sequence += rng.randrange(1, 4)
        market.thin = day.weekday() == 6 and ts_ns < pause_to + 60 * SECOND
        if packet_left == 0:
            packet_left = rng.choice((1, 1, 1, 2, 3))
            recv_ns = max(recv_ns, ts_ns + int(rng.lognormvariate(11.7, 0.45)))
        packet_left -= 1
        recv_ns = max(recv_ns, ts_ns + 20 * US)
        delta = rng.randrange(12_000, 19_000)
        for schema, record in market.step(Stamp(instrument_id, ts_ns, recv_ns, delta, sequence)):
            (writers.trades if schema == "trades" else writers.mbp10).add(record)
        ts_ns += 1 + int(rng.expovariate(rate * _intensity(ts_ns, opens_ns)) * SECOND)


class _FileWriter:
    # Writes to a temporary name; `place` moves it into place when whole, else nothing is left behind. `progress` is
    # called with the ns of event time that were written since the last call.
    def __init__(
        self, path: Path, schema: str, day: date, start_ns: int, end_ns: int, progress: Callable[[int], object]
    ) -> None:
        self.path = path
        self.records = 0
        self._progress = progress
        self._reached_ns = start_ns
        self._part = path.with_name(path.name + ".part")
        self._file = self._part.open("wb")
        self._buffer = bytearray()
        self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
        instrument_id, first, end = front_contract(day)
        interval = SimpleNamespace(start_date=first, end_date=end, symbol=str(instrument_id))
        metadata = dbn.Metadata(
            DATASET,
            start_ns,
            dbn.SType.from_str("continuous"),
            dbn.SType.from_str("instrument_id"),
            dbn.Schema.from_str(schema),
            symbols=[SYMBOL],
            mappings=[SimpleNamespace(raw_symbol=SYMBOL, intervals=[interval])],
            end=end_ns,
            version=1,
        )
        self._file.write(self._compressor.compress(bytes(metadata)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def add(self, record: "dbn.TradeMsg | dbn.MBP10Msg") -> None:
        self._buffer += bytes(record)
        self.records += 1
        if len(self._buffer) >= _FRAME_BYTES:
            self._flush()
            self._progress(record.ts_event - self._reached_ns)
            self._reached_ns = record.ts_event

    def _flush(self) -> None:
        if self._buffer:
            self._file.write(self._compressor.compress(bytes(self._buffer)))
            self._buffer.clear()

    def finish(self) -> None:
        self._flush()
        self._file.close()

    def place(self) -> None:
        self._part.replace(self.path)


@dataclass(frozen=True, slots=True)
class _Writers:
    trades: _FileWriter
    mbp10: _FileWriter


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that :func:`write_day` made."""

    path: Path
    schema: str
    records: int
    size: int


def write_day(
    root: Path,
    day: date,
    start_ns: int,
    end_ns: int,
    *,
    rate: float = DEFAULT_RATE,
    seed: int = DEFAULT_SEED,
    progress: Callable[[int], object] = lambda _: None,
) -> list[WrittenFile]:
    """Write the trades and mbp-10 files of a UTC day into a data folder, and mark the folder synthetic.

    Events lie in ``start_ns <= ts_event < end_ns``; ``rate`` is the mean of book changes per second of a calm
    minute. The same arguments give the same bytes. ``progress`` is called now and then with the ns of event time that
    were written since. Where writing is interrupted, neither file is there.
    """
    files = {}
    with ExitStack() as stack:
        for schema, folder in FOLDERS.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            name = f"{DATASET.lower().replace('.', '-')}-{day:%Y%m%d}.{schema}.dbn.zst"
            told = progress if schema == "mbp-10" else lambda _: None  # by the one that has most records
            writer = _FileWriter(root / folder / name, schema, day, start_ns, end_ns, told)
            files[schema] = stack.enter_context(writer)
        _write_records(_Writers(files["trades"], files["mbp-10"]), day, start_ns, end_ns, rate, seed)
        for file in files.values():
            file.finish()
        for file in files.values():
            file.place()
    written = [WrittenFile(file.path, schema, file.records, file.path.stat().st_size) for schema, file in files.items()]
    _describe(root, day, start_ns, end_ns, rate, seed, written)
    return written


def _describe(
    root: Path, day: date, start_ns: int, end_ns: int, rate: float, seed: int, written: list[WrittenFile]
) -> None:
    path = root / "metadata.json"
    known = orjson.loads(path.read_bytes()) if path.is_file() else {}
    described = known.get("files", {})
    for file in written:
        described[file.path.relative_to(root).as_posix()] = {
            "records": file.records,
            "size": file.size,
            "sha256": hashlib.sha256(file.path.read_bytes()).hexdigest(),
            "from": f"{day} {clock_text(start_ns)} UTC",
            "seed": seed,
            "rate": rate,
        }
    document = {
        "synthetic": True,
        "note": "made by spyctl sample: a random walk, no market data",
        "licence": "MIT",
        "query": {
            "dataset": DATASET,
            "symbols": [SYMBOL],
            "stype_in": "continuous",
            "stype_out": "instrument_id",
        },
        "files": dict(sorted(described.items())),
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    instrument_id, first, end = front_contract(day)
    symbology = root / "symbology.json"
    result = orjson.loads(symbology.read_bytes())["result"] if symbology.is_file() else {}
    interval = {"d0": first.isoformat(), "d1": end.isoformat(), "s": str(instrument_id)}
    intervals = [known for known in result.get(SYMBOL, []) if known != interval] + [interval]
    intervals.sort(key=lambda interval: str(interval["d0"]))
    document = {
        "result": {SYMBOL: intervals},
        "symbols": [SYMBOL],
        "stype_in": "continuous",
        "stype_out": "instrument_id",
        "start_date": intervals[0]["d0"],
        "end_date": intervals[-1]["d1"],
        "partial": [],
        "not_found": [],
        "message": "OK",
        "status": 0,
    }
    symbology.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def day_span(day: date) -> tuple[int, int]:
    """Return the whole UTC day as ``(start_ns, end_ns)``."""
    return day_number(day) * DAY, (day_number(day) + 1) * DAY


def is_vendor_folder(root: Path) -> bool:
    """Tell whether a folder holds DBN files that are not marked synthetic."""
    if not any(root.glob("**/*.dbn*")):
        return False
    try:
        return orjson.loads((root / "metadata.json").read_bytes()).get("synthetic") is not True
    except (OSError, ValueError):
        return True
