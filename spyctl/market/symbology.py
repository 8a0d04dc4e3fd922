"""Symbols ↔ instrument ids, which are valid only within an interval of UTC days.

Records carry an instrument id alone. Its name is looked up by the UTC day of ``ts_recv``, the index timestamp
(https://databento.com/docs/standards-and-conventions/symbology), in half-open intervals of days.
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import orjson

from spyctl.errors import DamagedFileError
from spyctl.timing.instants import DAY, day_number

_FRONT_CONTINUOUS = re.compile(r"(.+)\.[cnv]\.0", re.ASCII)
_CONTINUOUS = re.compile(r"(.+)\.[cnv]\.\d+", re.ASCII | re.IGNORECASE)
_FAR = (1 << 63) - 1
_FAR_DAY = 1 << 23


@dataclass(frozen=True, slots=True)
class Mapping:
    """``symbol`` names the instrument on the days ``first <= day < end`` (days since 1970-01-01).

    In a live capture, which may give an id to one instrument after the other and a symbol to one id after the other, it
    does so from an ``epoch`` on, and ``until`` another one begins.
    """

    symbol: str
    instrument_id: int
    first: int
    end: int
    epoch: int = 0
    until: int | None = None


def header_mappings(mappings: MappingType[str, Sequence[MappingType[str, Any]]], stype_out: str) -> tuple[Mapping, ...]:
    """Read the mappings of a DBN header, whichever side of them holds the instrument ids."""
    result = []
    for symbol, intervals in mappings.items():
        for interval in intervals:
            first, end = day_number(interval["start_date"]), day_number(interval["end_date"])
            name, number = (
                (symbol, interval["symbol"]) if stype_out == "instrument_id" else (interval["symbol"], symbol)
            )
            if number.isdecimal():
                result.append(Mapping(name, int(number), first, end))
    return tuple(result)


@dataclass(frozen=True, slots=True)
class CaptureMapping:
    """What a live gateway said of an instrument: ``symbol_in`` was asked for, ``symbol_out`` is its name there.

    Times are Unix ns; ``start_ns`` and ``end_ns`` may be undefined (0, 2⁶⁴ − 1). ``offset`` is where it stands in the
    capture, in unpacked bytes.
    """

    symbol_in: str
    symbol_out: str
    instrument_id: int
    ts_event_ns: int
    start_ns: int
    end_ns: int
    offset: int = 0

    @property
    def instrument(self) -> str:
        """The instrument that the id stands for: a raw symbol, or the root of a continuous one."""
        if not self.symbol_out.isdecimal():
            return self.symbol_out
        match = _CONTINUOUS.fullmatch(self.symbol_in)
        return match[1] if match else self.symbol_in


@dataclass(slots=True)
class _CaptureNames:
    # The mappings of a capture so far, with the places of those that hold now.
    mappings: list[Mapping]
    instruments: dict[int, str]
    of_id: dict[int, list[int]]
    of_symbol: dict[str, int]
    epochs: list[int]  # offsets

    def end(self, place: int) -> None:
        mapping = self.mappings[place]
        if mapping.until is None:
            self.mappings[place] = replace(mapping, until=len(self.epochs))

    def add(self, message: CaptureMapping) -> None:
        asked, raw, number = message.symbol_in, message.symbol_out, message.instrument_id
        names = [asked] if raw.isdecimal() or asked == raw else [raw]
        if _CONTINUOUS.fullmatch(asked) and not raw.isdecimal():
            names = [asked, raw]
        dated = 0 < message.start_ns < _FAR
        holders = [self.of_symbol[name] for name in names if name in self.of_symbol]
        moved = [place for place in holders if self.mappings[place].instrument_id != number]
        reused = self.instruments.get(number, message.instrument) != message.instrument
        if (moved or reused) and not dated:
            self.epochs.append(message.offset)
            for place in {*moved, *(self.of_id[number] if reused else ())}:
                self.end(place)
        if dated:
            for place in moved:  # a symbol that goes to another id leaves the first one that day
                mapping = self.mappings[place]
                self.mappings[place] = replace(
                    mapping, end=max(mapping.first, min(mapping.end, message.start_ns // DAY))
                )
        self.instruments[number] = message.instrument
        first = message.start_ns // DAY if dated else 0
        end = -(-message.end_ns // DAY) if 0 < message.end_ns < _FAR else _FAR_DAY
        taken = {self.mappings[place].symbol for place in moved}
        for name in names:
            since = len(self.epochs) if not dated and (reused or name in taken) else 0
            self.of_symbol[name] = len(self.mappings)
            self.of_id.setdefault(number, []).append(len(self.mappings))
            self.mappings.append(Mapping(name, number, first, max(first + 1, end), since))


def capture_mappings(messages: Sequence[CaptureMapping]) -> tuple[tuple[Mapping, ...], tuple[int, ...]]:
    """Turn the mapping records of a live capture into mappings; also returns where new epochs begin.

    A continuous symbol that was asked for names the instrument; otherwise its raw symbol does, as in
    databento-python's ``InstrumentMap.insert_symbol_mapping_msg``. A message without ``start_ts`` holds for the whole
    capture: the gateway may replay records from before the session. Only what contradicts an earlier one, an id that
    goes to another instrument or a symbol that goes to another id, holds from its place in the file on. Of two names of
    one instrument the one that came first goes first.
    """
    names = _CaptureNames([], {}, {}, {}, [])
    for message in messages:
        names.add(message)
    return tuple(dict.fromkeys(names.mappings)), tuple(names.epochs)


def read_symbology(path: Path) -> tuple[Mapping, ...]:
    """Read a ``symbology.json`` (the reply of Databento's symbology.resolve); empty where there is none.

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
            str(path), f"not a symbology file ({error})", remedy="download it again, or delete it"
        ) from None


_MONTHS = "FGHJKMNQUVXZ"
_EXPIRY = re.compile(rf"[{_MONTHS}]\d{{1,2}}", re.ASCII)
_RAW = re.compile(rf"(.+?)[{_MONTHS}]\d{{1,2}}", re.ASCII)
_OUTRIGHT = re.compile(rf"[A-Z0-9]{{1,3}}[{_MONTHS}]\d{{1,2}}", re.ASCII)


def is_spread(symbol: str) -> bool:
    """Tell whether a raw symbol names a spread, listed (``ESZ5-ESH6``) or user-defined (``UD:…``)."""
    return symbol.startswith("UD:") or "-" in symbol


def is_continuous(symbol: str) -> bool:
    """Tell whether a symbol is a continuous one (``ES.c.0``), whose instrument changes at a roll."""
    return _CONTINUOUS.fullmatch(symbol) is not None


def is_outright(symbol: str) -> bool:
    """Tell whether a symbol names one future: raw (``ESZ5``) or continuous (``ES.c.0``)."""
    return is_continuous(symbol) or _OUTRIGHT.fullmatch(symbol) is not None


class SymbolChoice:
    """The symbols that somebody asked for.

    Each word is a symbol as it is written (``ESZ5``, ``ES.c.0``, ``ESZ5-ESH6``), a root (``ES``: its futures,
    no spreads and no options), a glob (``ES*``), ``outright`` or ``spread``; capitals do not matter. No word means any.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        self.words = tuple(words)
        self._cache: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self.words)

    def takes(self, symbol: str) -> bool:
        """Tell whether a symbol is among those asked for."""
        if symbol not in self._cache:
            self._cache[symbol] = not self.words or any(_named(word.upper(), symbol) for word in self.words)
        return self._cache[symbol]

    def takes_any(self, symbols: Iterable[str]) -> bool:
        """Tell whether any of several symbols is among those asked for."""
        return not self.words or any(map(self.takes, symbols))

    def mappings(self, mappings: Sequence[Mapping]) -> Sequence[Mapping]:
        """Pick the mappings of the symbols asked for, by name or by instrument id."""
        if not self.words:
            return mappings
        return [mapping for mapping in mappings if self.takes_any((mapping.symbol, str(mapping.instrument_id)))]


def _named(word: str, symbol: str) -> bool:
    upper = symbol.upper()
    if word.endswith(".FUT") and word != upper:  # a parent means all futures of its root, spreads too
        return _is_of_root(upper, word[:-4])
    if upper == word or fnmatchcase(upper, word):
        return True
    if word in ("OUTRIGHT", "SPREAD"):
        return is_spread(symbol) if word == "SPREAD" else is_outright(symbol)
    return not is_spread(upper) and _is_of_root(upper, word)


def _is_of_root(symbol: str, root: str) -> bool:
    # A spread is of the root of its first leg (``ESZ5-ESH6``), or of the one it names itself (``ZN:BF H6-M6-U6``).
    if match := _CONTINUOUS.fullmatch(symbol):
        return match[1] == root
    if ":" in symbol:
        return symbol.partition(":")[0] == root
    leg = symbol.partition("-")[0]
    return leg.startswith(root) and _EXPIRY.fullmatch(leg, len(root)) is not None


class SymbolMap:
    """The names of the instruments in one file: the first mapping that fits the id and the day."""

    def __init__(self, mappings: Iterable[Mapping], ambiguous_roots: frozenset[str] = frozenset()) -> None:
        self._by_id: dict[int, list[Mapping]] = {}
        self._ambiguous = ambiguous_roots
        for mapping in mappings:
            self._by_id.setdefault(mapping.instrument_id, []).append(mapping)

    def name(self, instrument_id: int, day: int, epoch: int = 0) -> str | None:
        """Return the published symbol of an instrument on a UTC day, ``None`` where no mapping covers it."""
        names = self.names(instrument_id, day, epoch)
        return self.published(names[0]) if names else None

    def names(self, instrument_id: int, day: int, epoch: int = 0) -> list[str]:
        """Return every symbol that names an instrument on a UTC day, in a capture from an epoch on."""
        found = [mapping for mapping in self._by_id.get(instrument_id, ()) if mapping.first <= day < mapping.end]
        valid = [one for one in found if one.epoch <= epoch and (one.until is None or epoch < one.until)]
        return [mapping.symbol for mapping in valid]

    def published(self, symbol: str) -> str:
        """Return what a symbol is called in events: a front continuous one by its root, where that is unambiguous."""
        root = front_root(symbol)
        return symbol if root is None or root in self._ambiguous else root


def root_of(symbol: str) -> str | None:
    """Return the root of a continuous symbol or of the raw symbol of a future; ``None`` for spreads and others."""
    if match := _CONTINUOUS.fullmatch(symbol):
        return match[1]
    match = _RAW.fullmatch(symbol)
    return match[1] if match and not is_spread(symbol) else None


def front_root(symbol: str) -> str | None:
    """Return the root of a front continuous symbol (``ES`` of ``ES.c.0``), ``None`` for any other symbol."""
    match = _FRONT_CONTINUOUS.fullmatch(symbol)
    return match[1] if match else None


def ambiguous_roots(named: Iterable[tuple[Mapping, Iterable[int]]]) -> frozenset[str]:
    """Find the roots that would name two instruments on one day; ``named`` are mappings with the days of their use."""
    known: dict[tuple[str, int], set[Mapping]] = {}
    ambiguous = set()
    for mapping, days in named:
        if (root := front_root(mapping.symbol)) is None:
            continue
        for day in days:
            if mapping.first <= day < mapping.end:
                others = known.setdefault((root, day), set())
                if any(_at_once(mapping, other) for other in others):
                    ambiguous.add(root)
                others.add(mapping)
    return frozenset(ambiguous)


def _at_once(one: Mapping, other: Mapping) -> bool:
    # Whether two mappings of one day name different instruments at a time.
    apart = (one.until is not None and one.until <= other.epoch) or (
        other.until is not None and other.until <= one.epoch
    )
    return one.instrument_id != other.instrument_id and not apart
