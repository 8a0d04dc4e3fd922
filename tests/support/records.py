"""DBN files for tests, made with the official encoder and then, where a test wants it, bent."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import zstandard

ES = 294_973
DAY = date(2025, 12, 16)
DAY_NS = 1_765_843_200_000_000_000  # 2025-12-16T00:00Z
T0 = DAY_NS + 52_200_000_000_000  # 14:30Z
MS = 1_000_000
SECOND = 1_000_000_000


def metadata(
    schema: str | None = "trades",
    *,
    version: int = 1,
    symbols: Sequence[str] = ("ES.c.0",),
    mappings: dict[str, list[tuple[date, date, str]]] | None = None,
    stype_in: str = "continuous",
    ts_out: bool = False,
    start: int = DAY_NS,
    end: int | None = DAY_NS + 86_400 * SECOND,
) -> bytes:
    if mappings is None:
        mappings = {symbols[0]: [(date(2025, 9, 20), date(2025, 12, 20), str(ES))]} if symbols else {}
    return bytes(
        dbn.Metadata(
            "GLBX.MDP3",
            start,
            dbn.SType.from_str(stype_in),
            dbn.SType.INSTRUMENT_ID,
            dbn.Schema.from_str(schema) if schema else None,
            symbols=list(symbols),
            mappings=[
                SimpleNamespace(
                    raw_symbol=symbol,
                    intervals=[SimpleNamespace(start_date=a, end_date=b, symbol=s) for a, b, s in intervals],
                )
                for symbol, intervals in mappings.items()
            ],
            end=end,
            version=version,
            ts_out=ts_out,
        )
    )


def trade(ts_event: int = T0, ts_recv: int | None = None, **fields: Any) -> dbn.TradeMsg:
    values: dict[str, Any] = {
        "publisher_id": 1,
        "instrument_id": ES,
        "ts_event": ts_event,
        "price": 6_815_250_000_000,
        "size": 3,
        "action": dbn.Action.TRADE,
        "side": dbn.Side.BID,
        "depth": 0,
        "ts_recv": ts_event + 100_000 if ts_recv is None else ts_recv,
        "flags": 0,
        "ts_in_delta": 15_000,
        "sequence": 1_000,
    }
    return dbn.TradeMsg(**(values | fields))


def level(bid: int | None = 6_815_000_000_000, ask: int | None = 6_815_250_000_000, size: int = 7) -> dbn.BidAskPair:
    return dbn.BidAskPair(
        dbn.UNDEF_PRICE if bid is None else bid,
        dbn.UNDEF_PRICE if ask is None else ask,
        0 if bid is None else size,
        0 if ask is None else size + 1,
        2,
        3,
    )


def book(ts_event: int = T0, ts_recv: int | None = None, **fields: Any) -> dbn.MBP10Msg:
    values: dict[str, Any] = {
        "publisher_id": 1,
        "instrument_id": ES,
        "ts_event": ts_event,
        "price": 6_815_250_000_000,
        "size": 3,
        "action": dbn.Action.ADD,
        "side": dbn.Side.BID,
        "depth": 0,
        "ts_recv": ts_event + 100_000 if ts_recv is None else ts_recv,
        "flags": 130,
        "ts_in_delta": 15_000,
        "sequence": 1_000,
        "levels": [level() for _ in range(10)],
    }
    return dbn.MBP10Msg(**(values | fields))


def definition(instrument_id: int, raw_symbol: str, ts_recv: int) -> Any:
    kinds = dbn.InstrumentClass.FUTURE, dbn.SecurityUpdateAction.ADD
    return dbn.InstrumentDefMsg(1, instrument_id, ts_recv, ts_recv, 250_000_000, 1, raw_symbol, "ES", "FUT", *kinds)


def mapped(symbol: str, raw: str, instrument_id: int, ts_event: int = T0) -> Any:
    kinds = dbn.SType.from_str("continuous"), dbn.SType.from_str("raw_symbol")
    far = dbn.UNDEF_TIMESTAMP
    return dbn.SymbolMappingMsg(1, instrument_id, ts_event, kinds[0], symbol, kinds[1], raw, far, far)


def content(records: Sequence[Any], header: bytes) -> bytes:
    return header + b"".join(map(bytes, records))


def zstd_frames(data: bytes, header_size: int, frame_bytes: int = 4_096) -> bytes:
    """Compress like the vendor: the header in a frame of its own, the records in several more."""
    compressor = zstandard.ZstdCompressor()
    frames = [compressor.compress(data[:header_size])]
    body = data[header_size:]
    frames += [compressor.compress(body[i : i + frame_bytes]) for i in range(0, len(body), frame_bytes)]
    return b"".join(frames)


def write_file(
    root: Path,
    schema: str,
    records: Sequence[Any],
    *,
    day: date = DAY,
    compressed: bool = False,
    name: str | None = None,
    **header: Any,
) -> Path:
    folder = root / {"trades": "trades", "mbp-10": "MBP-10"}[schema]
    folder.mkdir(parents=True, exist_ok=True)
    head = metadata(schema, **header)
    data = content(records, head)
    if compressed:
        data = zstd_frames(data, len(head))
    path = folder / (name or f"glbx-mdp3-{day:%Y%m%d}.{schema}.dbn{'.zst' if compressed else ''}")
    path.write_bytes(data)
    return path
