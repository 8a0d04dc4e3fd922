"""Symbols ↔ instrument ids, which are valid only within an interval of UTC days.

Records carry an instrument id alone. Its name is looked up by the UTC day of ``ts_recv``, the index timestamp
(https://databento.com/docs/standards-and-conventions/symbology), in half-open intervals of days.
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from spyctl.errors import DamagedFileError
from spyctl.times import day_number

_FRONT_CONTINUOUS = re.compile(r"(.+)\.[cnv]\.0", re.ASCII)


@dataclass(frozen=True, slots=True)
class Mapping:
    """``symbol`` names the instrument on the days ``first <= day < end`` (days since 1970-01-01)."""

    symbol: str
    instrument_id: int
    first: int
    end: int


def header_mappings(mappings: MappingType[str, Sequence[MappingType[str, Any]]], stype_out: str) -> tuple[Mapping, ...]:
    """Read the mappings of a DBN header, whichever side of them holds the instrument ids."""
    found = []
    for symbol, intervals in mappings.items():
        for interval in intervals:
            first, end = day_number(interval["start_date"]), day_number(interval["end_date"])
            name, number = (
                (symbol, interval["symbol"]) if stype_out == "instrument_id" else (interval["symbol"], symbol)
            )
            if number.isdecimal():
                found.append(Mapping(name, int(number), first, end))
    return tuple(found)


def read_symbology(path: Path) -> tuple[Mapping, ...]:
    """Read a ``symbology.json`` (the reply of Databento's symbology.resolve); none there gives nothing.

    Raises :class:`DamagedFileError` where the file is not of that form.
    """
    if not path.is_file():
        return ()
    try:
        document = orjson.loads(path.read_bytes())
        by_date = {
            symbol: [
                {
                    "start_date": date.fromisoformat(i["d0"]),
                    "end_date": date.fromisoformat(i["d1"]),
                    "symbol": i["s"],
                }
                for i in intervals
            ]
            for symbol, intervals in document.get("result", {}).items()
        }
        return header_mappings(by_date, document.get("stype_out") or "instrument_id")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFileError(
            str(path), f"no symbology file ({error})", remedy="delete it: the DBN headers hold the same"
        ) from None


class SymbolMap:
    """The names of the instruments in one file: the first mapping that fits the id and the day."""

    def __init__(self, mappings: Iterable[Mapping], ambiguous_roots: frozenset[str] = frozenset()) -> None:
        self._by_id: dict[int, list[Mapping]] = {}
        self._ambiguous = ambiguous_roots
        for mapping in mappings:
            self._by_id.setdefault(mapping.instrument_id, []).append(mapping)

    def name(self, instrument_id: int, day: int) -> str | None:
        """Return the published symbol of an instrument on a UTC day, ``None`` where no mapping covers it."""
        for mapping in self._by_id.get(instrument_id, ()):
            if mapping.first <= day < mapping.end:
                root = front_root(mapping.symbol)
                return mapping.symbol if root is None or root in self._ambiguous else root
        return None


def front_root(symbol: str) -> str | None:
    """Return the root of a front continuous symbol (``ES`` of ``ES.c.0``), ``None`` for any other symbol."""
    match = _FRONT_CONTINUOUS.fullmatch(symbol)
    return match[1] if match else None


def ambiguous_roots(mappings: Iterable[Mapping]) -> frozenset[str]:
    """Find the roots that would name two instruments on one day of the input."""
    by_root: dict[str, list[Mapping]] = {}
    for mapping in dict.fromkeys(mappings):
        if (root := front_root(mapping.symbol)) is not None:
            by_root.setdefault(root, []).append(mapping)
    return frozenset(
        root
        for root, found in by_root.items()
        for i, one in enumerate(found)
        for other in found[i + 1 :]
        if one.instrument_id != other.instrument_id and one.first < other.end and other.first < one.end
    )
