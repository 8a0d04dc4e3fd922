"""What the instruments of a file are called: by its header, the mapping records of a live capture, a
``symbology.json``, the ``definition`` files of the data folder, in this order.

All of it is read only when it is needed: a parent file names hundreds of instruments, and most commands need none.
"""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property

from spyctl.dbn.reader import DBNFile
from spyctl.dbn.records import Header, Records
from spyctl.dbn.sidecars import ManifestEntries
from spyctl.dbn.zstd import walk_frames
from spyctl.errors import DamagedDefinitionsError, DamagedFileError
from spyctl.market.symbology import Mapping
from spyctl.timing.instants import DAY


@dataclass(frozen=True, slots=True)
class Names:
    """What some ``definition`` files say, as far as they are whole, and what is wrong with them."""

    mappings: tuple[Mapping, ...] = ()
    damage: tuple[DamagedDefinitionsError, ...] = ()


class Naming:
    """The mappings of one file: in its header, in its records, in a ``symbology.json``, in ``definition`` files."""

    def __init__(
        self,
        header: Header,
        in_records: tuple[Mapping, ...] = (),
        in_symbology: tuple[Mapping, ...] = (),
        in_definitions: Callable[[], Names] = Names,
    ) -> None:
        self._header = header
        self._in_records = in_records
        self._in_symbology = in_symbology
        self._ask_definitions = in_definitions
        self._among: Callable[[], tuple[tuple[Mapping, ...], tuple[Mapping, ...]]] | None = None

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
        beside = self._in_symbology + self._in_definitions.mappings
        if self._among is None:
            return tuple(dict.fromkeys(self.own + beside))
        first, more = self._among()
        return tuple(dict.fromkeys(first + self.own + beside + more))

    def among(self, others: Callable[[], tuple[tuple[Mapping, ...], tuple[Mapping, ...]]]) -> "Naming":
        """Return the same with what other files say: what goes before the file's own word, and what goes last."""
        naming = copy(self)
        naming.__dict__.pop("mappings", None)
        naming._among = others
        return naming

    @property
    def damage(self) -> tuple[DamagedDefinitionsError, ...]:
        """What is wrong with the ``definition`` files that were asked."""
        return self._in_definitions.damage

    @cached_property
    def _in_definitions(self) -> Names:
        return self._ask_definitions()


class DefinitionFile:
    """A ``definition`` file of a data folder, read when a name is asked for, and then once."""

    def __init__(self, file: DBNFile, manifest: ManifestEntries) -> None:
        self.path = file.path
        self.key = file.path, "definition"
        self.header = file.header
        self.size = file.size
        self.compressed = file.compressed
        self.manifest = manifest
        self._file = file

    @cached_property
    def problem(self) -> DamagedFileError | None:
        """What a look at its ends, its frames and its manifest finds wrong."""
        if self.manifest.file is not None and self.size < self.manifest.file.size:
            return self.manifest.file.cut_short(self.path, self.size)
        if self.compressed:
            return walk_frames(self.path).problem
        if (remnant := self._file.remnant()) is None:
            return None
        try:
            for _ in self._file.definitions():
                pass
        except DamagedFileError as error:  # a second file, or what is not a record, comes before the end
            return error
        return remnant

    def chunks(self) -> Iterator[Records]:
        """Read it to its end; yields nothing. Raises :class:`DamagedFileError`."""
        for _ in self._file.definitions():
            pass
        yield from ()

    def covers(self, first_day: int, last_day: int) -> bool:
        """Tell whether it was requested for any of some days (since 1970-01-01, both inclusive)."""
        past = self.header.end_ns is not None and self.header.end_ns <= first_day * DAY
        return not past and self.header.start_ns < (last_day + 1) * DAY

    @cached_property
    def names(self) -> Names:
        """What it says: its header first, as in any file."""
        mappings, problem = list(self.header.mappings), self.problem
        try:
            for name, number, day in self._file.definitions():
                mappings.append(Mapping(name, number, day, day + 1))
        except DamagedFileError as error:
            problem = error
        damage = () if problem is None else (DamagedDefinitionsError(problem),)
        return Names(tuple(dict.fromkeys(mappings)), damage)


class Definitions:
    """The ``definition`` files of a data folder."""

    def __init__(self) -> None:
        self.files: list[DefinitionFile] = []

    def of(self, dataset: str, first_day: int, last_day: int) -> Names:
        """Return what the files of a dataset that cover some days (since 1970-01-01, both inclusive) say."""
        asked = [file for file in self.files if file.header.dataset == dataset and file.covers(first_day, last_day)]
        return Names(
            tuple(mapping for file in asked for mapping in file.names.mappings),
            tuple(error for file in asked for error in file.names.damage),
        )
