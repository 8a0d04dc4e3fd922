"""What the instruments of a selection are called: one name for each, whichever file a record comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import Selection
from spyctl.market.symbology import Mapping, SymbolChoice, SymbolMap, ambiguous_roots, is_continuous
from spyctl.timing.instants import day_number


@dataclass(frozen=True, slots=True)
class Renamed:
    """A file calls an instrument ``own``, and its events ``published``, as another file does."""

    path: Path
    own: str
    published: str


def names_of_selection(infos: Sequence[DBNFileInfo], selection: Selection) -> SymbolMap:
    """Decide the names over what is selected: what was not asked for, or holds on other days, names nothing.

    What files say themselves goes before what lies beside them, and the continuous symbol of one before the raw symbol
    of another: books of ``ES.c.0`` beside trades of ``ES.FUT`` make both ``ES``. For the rest the first file decides.
    """
    choice = SymbolChoice(selection.symbols)
    own = {info.key: choice.mappings(info.naming.own) for info in infos}
    fronts = [(mapping, _days(info, selection)) for info in infos for mapping in choice.mappings(info.mappings)]
    leading = [mapping for mappings in own.values() for mapping in _leading(mappings)]
    listed = [mapping for mappings in own.values() for mapping in mappings] + [mapping for mapping, _ in fronts]
    return SymbolMap(dict.fromkeys(leading + listed), ambiguous_roots(fronts))


def renamed_in(infos: Sequence[DBNFileInfo], selection: Selection) -> list[Renamed]:
    """Return the first instrument of each file that another file names."""
    symbols, choice = names_of_selection(infos, selection), SymbolChoice(selection.symbols)
    named = {info.key: choice.mappings(info.naming.own) for info in infos}
    continuous = {mapping.instrument_id for mappings in named.values() for mapping in _leading(mappings)}
    return [renamed for info in infos for renamed in _renamed(info, named[info.key], continuous, symbols, selection)]


def _renamed(
    info: DBNFileInfo, mappings: Sequence[Mapping], continuous: set[int], symbols: SymbolMap, selection: Selection
) -> Iterator[Renamed]:
    concerned = [mapping for mapping in mappings if mapping.instrument_id in continuous]
    own = SymbolMap(concerned)
    for mapping in concerned:
        for day in _days(info, selection):
            if not mapping.first <= day < mapping.end:
                continue
            names = [one.names(mapping.instrument_id, day, mapping.epoch)[0] for one in (own, symbols)]
            if names[0] != names[1] and is_continuous(names[1]):
                yield Renamed(info.path, names[0], symbols.published(names[1]))
                return


def _days(info: DBNFileInfo, selection: Selection) -> list[int]:
    days = map(day_number, info.dates)
    return [day for day in days if selection.days is None or day in selection.days]


def _leading(mappings: Sequence[Mapping]) -> list[Mapping]:
    # The continuous ones that no other of the same file goes before.
    earlier: dict[int, list[Mapping]] = {}
    leading = []
    for mapping in mappings:
        before = earlier.setdefault(mapping.instrument_id, [])
        if is_continuous(mapping.symbol) and not any(
            one.first < mapping.end and mapping.first < one.end and one.epoch == mapping.epoch for one in before
        ):
            leading.append(mapping)
        before.append(mapping)
    return leading
