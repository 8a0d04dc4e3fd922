"""What the instruments of a file are called: by its header, the mapping records of a live capture, a
``symbology.json``, the ``definition`` files of the data folder, in this order.

All of it is read only when it is needed: a parent file names hundreds of instruments, and most commands need none.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from spyctl.dbn.reader import DBNFile
from spyctl.dbn.records import Header
from spyctl.market.symbology import Mapping
from spyctl.timing.instants import DAY


class Naming:
    """The mappings of one file: in its header, in its records, in a ``symbology.json``, in ``definition`` files."""

    def __init__(
        self,
        header: Header,
        in_records: tuple[Mapping, ...] = (),
        in_symbology: tuple[Mapping, ...] = (),
        in_definitions: Callable[[], tuple[Mapping, ...]] = tuple,
    ) -> None:
        self._header = header
        self._in_records = in_records
        self._in_symbology = in_symbology
        self._in_definitions = in_definitions

    @cached_property
    def own(self) -> tuple[Mapping, ...]:
        """What the file itself says."""
        return tuple(dict.fromkeys(self._header.mappings + self._in_records))

    @cached_property
    def ids(self) -> frozenset[int]:
        """The instruments that the file itself names."""
        return frozenset(mapping.instrument_id for mapping in self.own)

    def ids_on(self, first_day: int, last_day: int) -> frozenset[int]:
        """Return those that it names on any of some days (since 1970-01-01, both inclusive): ids are reused."""
        return frozenset(
            mapping.instrument_id for mapping in self.own if mapping.first <= last_day and first_day < mapping.end
        )

    @cached_property
    def mappings(self) -> tuple[Mapping, ...]:
        """All there is; the first that fits an instrument and a day names it."""
        return tuple(dict.fromkeys(self.own + self._in_symbology + self._in_definitions()))


class Definitions:
    """The ``definition`` files of a data folder."""

    def __init__(self) -> None:
        self._files: list[DBNFile] = []
        self._read: dict[Path, tuple[Mapping, ...]] = {}

    def add(self, file: DBNFile) -> None:
        """Add a file to those asked for names."""
        self._files.append(file)

    def of(self, dataset: str, first_day: int, last_day: int) -> tuple[Mapping, ...]:
        """Return what the files of a dataset that cover some days (since 1970-01-01, both inclusive) say."""
        mappings: list[Mapping] = []
        for file in self._files:
            header = file.header
            past = header.end_ns is not None and header.end_ns <= first_day * DAY
            if header.dataset == dataset and not past and header.start_ns < (last_day + 1) * DAY:
                if file.path not in self._read:
                    self._read[file.path] = tuple(
                        dict.fromkeys(Mapping(name, number, day, day + 1) for name, number, day in file.definitions())
                    )
                mappings += self._read[file.path]
        return tuple(mappings)
