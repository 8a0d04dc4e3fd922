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

    In a live capture that gives an id to one instrument after the other, it does so from an ``epoch`` on.
    """

    symbol: str
    instrument_id: int
    first: int
    end: int
    epoch: int = 0


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


def epochs_of(messages: Sequence[CaptureMapping]) -> list[int]:
    """Return the epoch from which each message holds: a new one begins where an id goes to another instrument."""
    known: dict[int, tuple[str, int]] = {}
    epochs, latest = [], 0
    for message in messages:
        instrument, epoch = known.get(message.instrument_id, (message.instrument, 0))
        if instrument != message.instrument:
            latest += 1
            epoch = latest
        known[message.instrument_id] = message.instrument, epoch
        epochs.append(epoch)
    return epochs


def capture_mappings(messages: Sequence[CaptureMapping]) -> tuple[Mapping, ...]:
    """Turn the mapping records of a live capture into intervals of days.

    A continuous symbol that was asked for names the instrument; otherwise its raw symbol does, as in
    databento-python's ``InstrumentMap.insert_symbol_mapping_msg``. A message without ``start_ts`` holds for the whole
    capture: the gateway may replay records from before the session. A later one that gives the same symbol to
    another instrument ends what an earlier one said, from its ``start_ts`` or else its ``ts_event`` on. Of two names
    of one instrument the one that came first goes first; an id that goes to another instrument names it from there on.
    """
    mappings: list[Mapping] = []
    places: dict[str, list[int]] = {}  # of the mappings of a symbol
    for message, epoch in zip(messages, epochs_of(messages), strict=True):
        asked, raw = message.symbol_in, message.symbol_out
        names = [asked] if raw.isdecimal() or asked == raw else [raw]
        if _CONTINUOUS.fullmatch(asked) and not raw.isdecimal():
            names = [asked, raw]
        end = -(-message.end_ns // DAY) if 0 < message.end_ns < _FAR else _FAR_DAY
        for name in names:
            former = places.setdefault(name, [])
            moved = bool(former) and mappings[former[-1]].instrument_id != message.instrument_id
            times = (message.start_ns, message.ts_event_ns) if moved else (message.start_ns,)
            since_ns = next((ns for ns in times if 0 < ns < _FAR), 0)
            first = since_ns // DAY
            for place in former:
                earlier = mappings[place]
                if earlier.instrument_id != message.instrument_id and earlier.end > first:
                    mappings[place] = replace(earlier, end=max(earlier.first, first))
            former.append(len(mappings))
            mappings.append(Mapping(name, message.instrument_id, first, max(first + 1, end), epoch))
    return tuple(dict.fromkeys(mappings))


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
        epochs = {mapping.epoch for mapping in found}
        if len(epochs) > 1:
            latest = max((one for one in epochs if one <= epoch), default=min(epochs))
            found = [mapping for mapping in found if mapping.epoch == latest]
        return [mapping.symbol for mapping in found]

    def published(self, symbol: str) -> str:
        """Return what a symbol is called in events: a front continuous one by its root, where that is unambiguous."""
        root = front_root(symbol)
        return symbol if root is None or root in self._ambiguous else root


def front_root(symbol: str) -> str | None:
    """Return the root of a front continuous symbol (``ES`` of ``ES.c.0``), ``None`` for any other symbol."""
    match = _FRONT_CONTINUOUS.fullmatch(symbol)
    return match[1] if match else None


def ambiguous_roots(named: Iterable[tuple[Mapping, Iterable[int]]]) -> frozenset[str]:
    """Find the roots that would name two instruments on one day; ``named`` are mappings with the days of their use."""
    known: dict[tuple[str, int], int] = {}
    ambiguous = set()
    for mapping, days in named:
        if (root := front_root(mapping.symbol)) is None:
            continue
        for day in days:
            if mapping.first <= day < mapping.end and known.setdefault((root, day), mapping.instrument_id) != (
                mapping.instrument_id
            ):
                ambiguous.add(root)
    return frozenset(ambiguous)
