"""A look at one data file: its header and both ends, small or vague ones read through."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from spyctl.dbn.extent import Extent, ExtentCounter, first_time, least_recv, remembered_extent
from spyctl.dbn.file_info import DBNFileInfo, archive_of, dates_in_name
from spyctl.dbn.file_memory import FileMemory, Stamp
from spyctl.dbn.instruments import DefinitionFile, Definitions, Naming
from spyctl.dbn.messages import CaptureSurvey
from spyctl.dbn.reader import DBNFile
from spyctl.dbn.records import RTYPES, Header, Records, count_good
from spyctl.dbn.sidecars import ManifestEntries, Sidecars
from spyctl.dbn.sort_times import effective_recv
from spyctl.dbn.venues import holds_futures, is_known
from spyctl.errors import DamagedFileError, OtherSchemaError
from spyctl.market.columns import SCHEMAS
from spyctl.timing.instants import DAY, date_of, day_number

_FIRST_YEAR = 1980
_SHORT = 16_000_000  # a plain file of several days up to this size is read through
_FETCH_AGAIN = "download it again"


class Inspector:
    """Looks at the files of a data folder with what lies beside them: job files and definitions."""

    def __init__(self, sidecars: Sidecars, memory: FileMemory) -> None:
        self._sidecars = sidecars
        self._memory = memory
        self.found: dict[Path, tuple[Stamp, Any]] = {}  # what is to be remembered
        self.definitions = Definitions()

    def inspect(self, path: Path, *, count: bool) -> list[DBNFileInfo]:
        """Describe a file, once for each schema in it; ``count`` reads a compressed one to its end.

        Raises :class:`OtherSchemaError` for a file that is not replayed (``definition`` files are remembered: they
        name instruments), :class:`DamagedFileError` for one that cannot be read.
        """
        synthetic = self._sidecars.synthetic(path.parent)
        file = DBNFile(path)
        _refuse_others(path, file.header.dataset)
        if file.schema == "definition":
            self.definitions.files.append(DefinitionFile(file, self._manifest(file)))
            raise OtherSchemaError(str(path), "holds definitions, which give names where nothing else does")
        if file.schema is None:
            return list(self._capture(file, synthetic=synthetic))
        header, _ = file.header, file.dtype  # refuses other schemas
        long = header.end_ns is None or header.end_ns - header.start_ns > DAY
        whole = count or (long and dates_in_name(path) is None)  # the last day has to be known
        extent = self._remembered(file)
        if extent is None and (whole or not file.compressed):
            extent = _read_through(file) if file.compressed else _ends(file)
            if extent.days is not None and extent.problem is None:
                self.found[path] = file.stamp, extent.as_list()
        extent = extent or _begin(file)
        return [self._info(file, extent, None, synthetic=synthetic)]

    def _remembered(self, file: DBNFile) -> Extent | None:
        return remembered_extent(self._memory.get(file.path, file.stamp))

    def _manifest(self, file: DBNFile) -> ManifestEntries:
        archive = None if file.compressed else self._sidecars.listed(archive_of(file.path))
        return ManifestEntries(self._sidecars.listed(file.path), archive)

    def _capture(self, file: DBNFile, *, synthetic: bool) -> Iterator[DBNFileInfo]:
        survey, damage = file.survey()
        schemas = [schema for schema in SCHEMAS if RTYPES[schema] in survey.rtypes]
        if not schemas and damage is not None:
            raise damage
        if not schemas:
            reason = "holds mixed records of a live capture, no trades or mbp-10 among them"
            raise OtherSchemaError(str(file.path), reason)
        for schema in schemas:
            part = file.of_schema(schema, survey.epochs)
            yield self._info(part, _read_through(part), survey, synthetic=synthetic)

    def _info(self, file: DBNFile, extent: Extent, survey: CaptureSurvey | None, *, synthetic: bool) -> DBNFileInfo:
        path, header, sidecars = file.path, file.header, self._sidecars
        manifest = self._manifest(file)
        if extent.problem is None and manifest.file is not None and file.size < manifest.file.size:
            extent = replace(extent, problem=manifest.file.cut_short(path, file.size))
        first_date, last_date, misnamed = _dates(path, header, extent)
        if extent.first_ns is None and extent.problem is None and first_date.year < _FIRST_YEAR:
            raise OtherSchemaError(str(path), "holds no record, and tells of no day")
        first_day, last_day = day_number(first_date), day_number(last_date)
        naming = Naming(
            header,
            in_records=survey.mappings if survey is not None else (),
            in_symbology=sidecars.symbology(path.parent),
            in_definitions=lambda: self.definitions.of(header.dataset, first_day, last_day),
        )
        return DBNFileInfo(
            file=file,
            first_date=first_date,
            last_date=last_date,
            extent=extent,
            naming=naming,
            synthetic=synthetic,
            gateway_errors=tuple(survey.errors) if survey is not None else (),
            misnamed=misnamed,
            conditions=tuple(sorted(sidecars.conditions(path.parent, first_date, last_date).items())),
            manifest=manifest,
            memory=None if survey is not None else self._memory,
        )


def _refuse_others(path: Path, dataset: str) -> None:
    if not is_known(dataset):
        raise DamagedFileError(str(path), f"there is no dataset {dataset!r}, as its header says", remedy=_FETCH_AGAIN)
    if not holds_futures(dataset):
        raise OtherSchemaError(str(path), f"holds {dataset}, which is no dataset of futures")


def _ends(file: DBNFile) -> Extent:
    # A plain file: as many records as its length says, its first and its last one.
    problem, last = None, file.last()
    if len(last) and not count_good(last, str(file.schema)):
        return _read_through(file)  # only that tells where it goes wrong
    try:
        first = file.first()
    except DamagedFileError as error:
        first, problem = last[:0], error
    count = (file.size - file.header.size) // file.dtype.itemsize
    first_ns, least_ns = (_start(file, first), least_recv(first)) if len(first) else (None, 0)
    problem = problem or file.remnant()
    last_ns = _received(last)
    several = (
        first_ns is not None and last_ns is not None and min(first_ns, least_ns or first_ns) // DAY < last_ns // DAY
    )
    if several and file.size <= _SHORT:
        return _read_through(file)  # which of the days in between have a record
    return Extent(count, first_ns, last_ns, least_ns, problem=problem)


def _read_through(file: DBNFile) -> Extent:
    counter = ExtentCounter()
    try:
        for records in file.chunks():
            counter.add(records)
    except DamagedFileError as error:
        return counter.extent(error)
    return counter.extent()


def _begin(file: DBNFile) -> Extent:
    # A compressed file of which only the beginning is read.
    try:
        first = file.first()
    except DamagedFileError as error:
        return Extent(0, problem=error)
    return Extent(None, _start(file, first), least_ns=least_recv(first)) if len(first) else Extent(0)


def _start(file: DBNFile, first: Records) -> int | None:
    if (ns := first_time(first)) is not None and first["ts_recv"].view("i8")[0] > 0:
        return ns
    with closing(file.chunks()) as chunks:
        return first_time(next(chunks))


def _received(last: Records) -> int | None:
    # The ts_recv of the last record of an array of one, None where there is none or it has no time.
    if not len(last):
        return None
    received = int(effective_recv(last)[0])
    return received if received >= 0 else None


def _dates(path: Path, header: Header, extent: Extent) -> tuple[date, date, bool]:
    # The header bounds the query; the name gives the days where the header covers more than this part, unless the
    # records prove it wrong.
    first_ns, last_ns = extent.first_ns, extent.last_ns
    first = date_of(first_ns if first_ns is not None else header.start_ns)
    last = date_of(last_ns) if last_ns is not None else first
    named = dates_in_name(path)
    if named is not None and (first_ns is None or (named[0] <= first and last <= named[1])):
        return *named, False
    if extent.days and (earliest := min(extent.days)) * DAY < (first_ns or 0):
        first = date_of(earliest * DAY)  # that of a first record without ts_recv
    if last_ns is None and header.end_ns:
        last = max(first, date_of(header.end_ns - 1))
    return first, max(first, last), named is not None
