"""One name for each contract of a selection, whichever file a record comes from.

Where files name one instrument by different symbols, the continuous symbol of one goes before the raw symbol of
another: books of ``ES.c.0`` beside trades of ``ES.FUT`` make both ``ES``. Otherwise a file's own word counts for its
records: ids are reused, and the mappings of a live capture are meant for that capture alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial
from pathlib import Path

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import Selection
from spyctl.market.symbology import Mapping, SymbolChoice, SymbolMap, ambiguous_roots, is_continuous, root_of
from spyctl.timing.instants import DAY, date_of, day_number


class Siblings:
    """The files that are read together."""

    def __init__(self, infos: Sequence[DBNFileInfo]) -> None:
        self._infos = infos
        self._places = {info.key: place for place, info in enumerate(infos)}

    @cached_property
    def _by_id(self) -> dict[int, dict[Mapping, int]]:
        # What each id is called, with the place of the first file that says so.
        by_id: dict[int, dict[Mapping, int]] = {}
        for place, info in enumerate(self._infos):
            first, end = day_number(info.first_date), day_number(info.last_date) + 1
            for mapping in info.naming.own:
                if info.capture:
                    mapping = replace(mapping, first=max(mapping.first, first), end=min(mapping.end, end))
                if not mapping.epoch and mapping.until is None:
                    by_id.setdefault(mapping.instrument_id, {}).setdefault(mapping, place)
        return by_id

    def names(self, info: DBNFileInfo) -> tuple[tuple[Mapping, ...], tuple[Mapping, ...]]:
        """Return what others call the contracts of a file: continuous symbols, which go first, and all there is."""
        return self._continuous(info), self._any(info)

    def _continuous(self, info: DBNFileInfo) -> tuple[Mapping, ...]:
        mine = self._places[info.key]
        return tuple(
            replace(other, first=max(own.first, other.first), end=min(own.end, other.end), epoch=own.epoch)
            for own in info.naming.own
            for other, place in self._by_id.get(own.instrument_id, {}).items()
            if is_continuous(other.symbol) and (place < mine or not is_continuous(own.symbol)) and _same(own, other)
        )

    def _any(self, info: DBNFileInfo) -> tuple[Mapping, ...]:
        own_names = info.naming.own
        if not own_names:
            return tuple(mapping for mappings in self._by_id.values() for mapping in mappings)
        return tuple(
            replace(other, epoch=own.epoch)
            for own in own_names
            for other in self._by_id.get(own.instrument_id, ())
            if _same(own, other)
        )


def _same(own: Mapping, other: Mapping) -> bool:
    # Whether two names of one id are of one contract: of one root, on common days.
    common = own.symbol != other.symbol and own.first < other.end and other.first < own.end
    return common and (root := root_of(own.symbol)) is not None and root == root_of(other.symbol)


def with_siblings(infos: Sequence[DBNFileInfo]) -> list[DBNFileInfo]:
    """Return files that know each other's names."""
    siblings = Siblings(infos)
    return [replace(info, naming=info.naming.among(partial(siblings.names, info))) for info in infos]


@dataclass(frozen=True, slots=True)
class TwoNames:
    """One contract that a file calls ``symbol`` and events ``published``, or that is the one up to a UTC day, ``since``
    then the other."""

    path: Path
    symbol: str
    published: str
    since: date | None = None


def symbol_maps(infos: Sequence[DBNFileInfo], selection: Selection) -> list[SymbolMap]:
    """Return the names of the instruments of each file; what was not asked for, or holds on other days, names nothing.

    ``infos`` know each other's names.
    """
    choice = SymbolChoice(selection.symbols)
    chosen = [choice.mappings(info.mappings) for info in infos]
    used = ((mapping, _days(info, selection)) for info, own in zip(infos, chosen, strict=True) for mapping in own)
    ambiguous = ambiguous_roots(used)
    return [SymbolMap(mappings, ambiguous) for mappings in chosen]


def two_names(infos: Sequence[DBNFileInfo], selection: Selection) -> list[TwoNames]:
    """Find contracts with two names: of each file the first that another file names, and those that change theirs."""
    choice = SymbolChoice(selection.symbols)
    continuous = {
        mapping.instrument_id for info in infos for mapping in info.naming.own if is_continuous(mapping.symbol)
    }
    named: dict[tuple[int, str | None], dict[int, tuple[str, Path]]] = {}  # id and root → day → name
    found: list[TwoNames] = []
    for info, symbols in zip(infos, symbol_maps(infos, selection), strict=True):
        renamed: TwoNames | None = None
        mine = SymbolMap(info.naming.own)
        for own, day in _uses(info, choice.mappings(info.naming.own), continuous, selection):
            if mine.names(own.instrument_id, day, own.epoch)[:1] != [own.symbol]:
                continue  # another name of it goes first
            name = symbols.name(own.instrument_id, day, own.epoch) or own.symbol
            named.setdefault((own.instrument_id, root_of(own.symbol)), {}).setdefault(day, (name, info.path))
            if renamed is None and name != symbols.published(own.symbol):
                renamed = TwoNames(info.path, own.symbol, name)
        found += [renamed] if renamed is not None else []
    for days in named.values():
        (_, (before, _)), *later = sorted(days.items())
        for day, (name, path) in later:
            if name != before:
                found.append(TwoNames(path, before, name, date_of(day * DAY)))
                break
    return found


def _uses(
    info: DBNFileInfo, mappings: Sequence[Mapping], ids: set[int], selection: Selection
) -> Iterator[tuple[Mapping, int]]:
    days = _days(info, selection)
    for mapping in mappings:
        if mapping.instrument_id in ids:
            yield from ((mapping, day) for day in days if mapping.first <= day < mapping.end)


def _days(info: DBNFileInfo, selection: Selection) -> list[int]:
    days = map(day_number, info.dates)
    return [day for day in days if selection.days is None or day in selection.days]
