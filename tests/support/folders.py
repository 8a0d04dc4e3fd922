"""Data folders for tests of the command line: one sound day, and a week with faults planted."""

import json
from datetime import date, timedelta
from pathlib import Path

from tests.support.records import DAY, DAY_NS, ES, MS, SECOND, T0, book, metadata, trade, write_file

MONDAY = date(2025, 12, 15)
NEW = 42_140_878  # the contract that ES.c.0 is from Thursday on
ROLL = {
    "ES.c.0": [
        (date(2025, 9, 20), date(2025, 12, 18), str(ES)),
        (date(2025, 12, 18), date(2026, 3, 21), str(NEW)),
    ]
}


def shifted(day: date) -> int:
    """Return how many ns a day lies after 2025-12-16."""
    return (day - DAY).days * 86_400 * SECOND


def write_one_day(root: Path) -> Path:
    """Write 50 trades, and a snapshot and 1,000 books of the first second after the open of 2025-12-16."""
    write_file(root, "trades", [trade(T0 + i * 20 * MS) for i in range(50)])
    snapshot = book(DAY_NS - 9, DAY_NS, flags=168)
    write_file(root, "mbp-10", [snapshot, *(book(T0 + i * MS) for i in range(1_000))], compressed=True)
    return root


def write_week(root: Path) -> Path:
    """Monday is whole; Tuesday has no books; Wednesday is degraded; Thursday rolls; Friday is cut short."""
    for n in range(5):
        day = MONDAY + timedelta(days=n)
        at, instrument_id = T0 + shifted(day), ES if n < 3 else NEW
        trades = [trade(at + i * MS, instrument_id=instrument_id, sequence=i) for i in range(50)]
        books = [book(at + i * MS, instrument_id=instrument_id, sequence=i) for i in range(100)]
        write_file(root, "trades", trades, day=day, mappings=ROLL, compressed=True)
        if n != 1:
            write_file(root, "mbp-10", books, day=day, mappings=ROLL)
    path = root / "MBP-10" / "glbx-mdp3-20251219.mbp-10.dbn"
    path.write_bytes(path.read_bytes()[:-356])
    (root / "condition.json").write_text(json.dumps([{"date": "2025-12-17", "condition": "degraded"}]))
    (root / "glbx-mdp3-20251216.ohlcv-1d.dbn").write_bytes(metadata("ohlcv-1d"))
    return root
