"""Every error that spyctl raises on purpose, and the exit code each one ends the program with.

    SpyctlError                     1  failed
    ├── UsageError                  2  a wrong option or combination of options
    │   ├── AddressError               not an address to listen on
    │   ├── ListenError                nothing can listen on an address
    │   ├── FastIngestUnavailableError the server or the stream takes no batches
    │   ├── IncompleteTlsError         a client certificate without its key, or the reverse
    │   ├── TimeSyntaxError            a text that is not a time
    │   ├── NoSessionError             open or close of a day on which the market stays closed
    │   ├── ReversedRangeError         a range of days that ends before it begins
    │   ├── UnknownSchemaError         a schema that is not replayed
    │   ├── MixedFilesError            synthetic files beside the vendor's
    │   ├── SeveralDatasetsError       files of several datasets
    │   ├── SyntheticFolderError       vendor files would go into a folder of synthetic ones
    │   └── PendingJobError            days that a batch job not yet fetched holds
    ├── DamagedFileError            1  a file that is not, or not wholly, DBN
    │   ├── DamagedDefinitionsError    one that names instruments
    │   └── OtherSchemaError           a DBN file that holds neither trades nor mbp-10
    ├── TooManyFilesError           1  more files have to be open at once than the system allows
    ├── MergeLimitError             1  more events inside the reorder window than may be held
    ├── FullDiskError               3  a tape cannot grow
    ├── NoDataError                 6  no such date, schema or folder
    │   ├── NoDataFolderError          no folder, or nothing in it
    │   ├── NothingPlayableError       files, but none that can be played
    │   ├── NoSuchDataError            no file of a schema
    │   │   └── UnknownDatasetError    no file of a dataset
    │   ├── MissingDaysError           no file for some days
    │   ├── UnknownSymbolError         no file that names a symbol
    │   ├── NoSuchRunError             no replay that could be controlled
    │   ├── UnknownFuturesError        the live gateway knows none of the symbols
    │   └── RefusedRequestError        the vendor's API does not know what is asked for
    ├── ControlError                2  a command that a replay cannot obey as it stands
    ├── PayloadError                1  a message that is not one of ours
    ├── ResumeError                 1  a run cannot be continued
    │   ├── NoRunError              6  there is none
    │   ├── RunCompleteError           it has reached its end
    │   └── OtherRunError              its events would be others
    ├── KeyRefusedError             4  the vendor refuses the key, or the plan lacks the data
    ├── UnreachableFeedError        1  the vendor does not answer
    │   ├── UnreachableRestError       its REST API does not
    │   └── UnreachableGatewayError    its historical API does not
    ├── GatewayError                1  the historical API's client refuses its settings
    ├── BrokenDownloadError         1  a download that is billed broke off
    └── BusError                    5  NATS
        ├── UnreachableError           no server answers, or it stays away
        │   ├── NoServerError          nothing listens there
        │   └── NoServerNamedError     none was named, and there is none by default
        ├── NoJetStreamError           a server without JetStream
        │   ├── NotNatsError           what answers does not speak NATS
        │   ├── TlsError               no encrypted connection can be made
        │   └── AccessDeniedError      the server refuses our credentials, or what we do
        ├── UnfitStreamError           a stream that cannot hold our events
        │   └── OverlappingStreamError another stream captures our subjects
        ├── StreamBusyError            somebody else is publishing there
        │   ├── OtherSourceError       events of another source arrived a moment ago
        │   ├── LeaseHeldError         a living run holds the lease
        │   │   └── KeyInUseError      a living run uses the vendor's key
        │   └── LeaseLostError         another run took the lease from us
        ├── NoSpaceError               too little room for what would be stored
        ├── AccountLimitError          an account's limits do not let it be stored
        ├── RefusedError               the server will not store a message
        ├── LostTrackError             the server can no longer tell what it has stored
        ├── StreamGoneError            a stream was deleted while it was read
        ├── LostEventsError         3  the stream no longer holds what it has acknowledged
        └── EmbeddedServerError        our own server did not start

An error is one sentence (what and where) and one remedy (what to type). Neither ever holds a secret.
"""

import errno
import os
from collections.abc import Sequence
from datetime import date
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """What the process ends with; see ``docs/cli.md``."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    KEY = 4
    NATS = 5
    NO_DATA = 6
    INTERRUPTED = 130
    TERMINATED = 143


class SpyctlError(Exception):
    """One sentence with what went wrong and where, and in ``remedy`` what to do about it."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(SpyctlError):
    """Options that are wrong or contradict each other."""

    exit_code = ExitCode.USAGE


class AddressError(UsageError):
    """A text is not an address to listen on."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not an address to serve metrics on", "PORT, or HOST:PORT")
        self.text = text


class ListenError(UsageError):
    """Nothing can listen on an address, because it is taken or not ours; ``reason`` is the system's."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"metrics cannot be served on {address}: {reason}", "another port")
        self.address = address
        self.reason = reason


class FastIngestUnavailableError(UsageError):
    """Fast ingest was asked for, and the server or the stream does not offer it."""


class IncompleteTlsError(UsageError):
    """A client certificate was given without its key, or the reverse."""


class TimeSyntaxError(UsageError):
    """A text that is not a time."""


class NoSessionError(UsageError):
    """The open or close of a day without a regular session; ``reason`` says why there is none."""

    def __init__(self, day: date, reason: str) -> None:
        super().__init__(f"{day} is {reason}: it has no regular session", "write a time of day, such as 18:00")
        self.day = day
        self.reason = reason


class ReversedRangeError(UsageError):
    """A range of days that ends before it begins."""

    def __init__(self, first: date, last: date) -> None:
        super().__init__(f"{first}..{last} ends before it begins", f"write {last}..{first}")
        self.first = first
        self.last = last


class UnknownSchemaError(UsageError):
    """A schema that is not replayed."""


class MixedFilesError(UsageError):
    """Synthetic and vendor files must not be read as one input; ``folder`` is a text."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"{folder} holds synthetic and vendor files for these dates; which are never merged",
            "keep synthetic days in a folder of their own",
        )


class SeveralDatasetsError(UsageError):
    """Files of several ``datasets`` must not be read as one input; ``folder`` is a text."""

    def __init__(self, folder: str, datasets: Sequence[str]) -> None:
        super().__init__(
            f"{folder} holds {' and '.join(datasets)} for these dates; only one can be read at a time",
            f"choose a dataset: {', '.join(datasets)}",
        )
        self.datasets = tuple(datasets)


class SyntheticFolderError(UsageError):
    """Vendor files must not go into a folder of synthetic ones."""


class PendingJobError(UsageError):
    """Some days are paid for in a batch job, of ``first`` to ``last``, that was not fetched yet."""

    def __init__(self, job_id: str, first: date, last: date) -> None:
        super().__init__(
            f"batch job {job_id} of {first} to {last} was ordered before and is not fetched yet",
            "fetch that job first",
        )
        self.first = first
        self.last = last


class DamagedFileError(SpyctlError):
    """A file cannot be read, or not to its end.

    ``offset`` is the position of the first byte that cannot be used (in the file as it lies on disk) and
    ``records`` counts the whole records before it.
    """

    def __init__(self, path: str, reason: str, *, offset: int = 0, records: int = 0, remedy: str = "") -> None:
        super().__init__(f"{path}: {reason} at byte {offset:,}" if offset else f"{path}: {reason}", remedy)
        self.path = path
        self.reason = reason
        self.offset = offset
        self.records = records


class DamagedDefinitionsError(DamagedFileError):
    """A file that names instruments cannot be read, or not to its end: some may lack their name."""

    def __init__(self, damage: DamagedFileError) -> None:
        super().__init__(damage.path, damage.reason, offset=damage.offset, remedy=damage.remedy)


class OtherSchemaError(DamagedFileError):
    """A DBN file is whole, but nothing in it is replayed."""


class TooManyFilesError(SpyctlError):
    """More ``files`` have to be read side by side than the system lets this process open."""

    def __init__(self, files: int, limit: int) -> None:
        message = f"{files:,} files have to be open at once, and the system allows {limit:,}"
        super().__init__(message, "choose fewer symbols, or raise the limit (ulimit -Hn)")


class MergeLimitError(SpyctlError):
    """More events lie inside the reorder window than may be held in memory."""


class FullDiskError(SpyctlError):
    """The disk has no room for what a tape should hold; ``last_seq`` is the last sequence that is on it."""

    exit_code = ExitCode.INCOMPLETE
    ERRNOS = (errno.ENOSPC, errno.EDQUOT)

    def __init__(self, path: str, last_seq: int) -> None:
        where = f"it ends at sequence {last_seq:,}" if last_seq else "nothing is on it"
        super().__init__(
            f"{path}: no space left on the disk; {where}",
            "free some and run the same command again, while the stream still holds the rest",
        )
        self.last_seq = last_seq


class NoDataError(SpyctlError):
    """The folder, date or schema asked for is not there."""

    exit_code = ExitCode.NO_DATA


class NoDataFolderError(NoDataError):
    """There is no data folder, or nothing in it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "name another data folder")


_NAMED = 20  # files in one sentence


class NothingPlayableError(NoDataError):
    """A folder holds files, and none that can be played; ``reasons`` say of each why. ``folder`` is a text."""

    def __init__(self, folder: str, reasons: Sequence[str]) -> None:
        more = f" and {len(reasons) - _NAMED:,} more" if len(reasons) > _NAMED else ""
        what = ", ".join(reasons[:_NAMED])
        super().__init__(f"nothing in {folder} can be played: {what}{more}", "name another folder")
        self.folder = folder
        self.reasons = reasons


class NoSuchDataError(NoDataError):
    """No file is of the schema asked for."""


class UnknownDatasetError(NoSuchDataError):
    """No file is of the dataset asked for; ``held`` are those that there are. ``folder`` is a text."""

    def __init__(self, dataset: str, folder: str, held: Sequence[str]) -> None:
        message = f"no data of {dataset} in {folder}, which holds {', '.join(held)}"
        super().__init__(message, f"choose a dataset: {', '.join(held)}")
        self.held = tuple(held)


class MissingDaysError(NoDataError):
    """There is no file for some ``days``; ``folder`` and ``held`` are texts."""

    def __init__(self, days: Sequence[date], folder: str, held: str) -> None:
        super().__init__(f"no data for {', '.join(map(str, days))} in {folder}, which holds {held}")
        self.days = tuple(days)


class UnknownSymbolError(NoDataError):
    """No file names a symbol that was asked for; ``held`` are those that files name. ``folder`` is a text."""

    def __init__(self, symbols: Sequence[str], folder: str, held: Sequence[str]) -> None:
        names = ", ".join(held[:5]) + (f" and {len(held) - 5:,} more" if len(held) > 5 else "")
        super().__init__(f"no {' or '.join(symbols)} in {folder}, which holds {names}")
        self.held = tuple(held)


class NoSuchRunError(NoDataError):
    """No replay of that id runs, or none at all."""


class UnknownFuturesError(NoDataError):
    """The live gateway knows none of the symbols."""

    def __init__(self, symbols: Sequence[str]) -> None:
        super().__init__(f"Databento does not know {' or '.join(symbols)}", "a symbol like ES.c.0, ES.n.0 or ESZ6")
        self.symbols = tuple(symbols)


class RefusedRequestError(NoDataError):
    """The vendor's API refuses a request: it does not know what was asked for."""


class ControlError(SpyctlError):
    """A command that a replay cannot obey as it stands."""

    exit_code = ExitCode.USAGE


class PayloadError(SpyctlError):
    """A message does not have the shape that its subject promises."""


class ResumeError(SpyctlError):
    """A run cannot be continued exactly where it ended."""


class NoRunError(ResumeError):
    """A stream has no run to continue, or not the one of a certain ``run_id``."""

    exit_code = ExitCode.NO_DATA

    def __init__(self, stream: str, run_id: str = "") -> None:
        super().__init__(f"there is no run {run_id}{' ' if run_id else ''}to resume in {stream}")
        self.run_id = run_id


class RunCompleteError(ResumeError):
    """The run has reached its end; it published ``events``."""

    def __init__(self, run_id: str, events: int) -> None:
        super().__init__(f"run {run_id} is complete: nothing is left of its {events:,} events")
        self.run_id = run_id
        self.events = events


class OtherRunError(ResumeError):
    """The run was made of other files or options, or for another stream."""


class KeyRefusedError(SpyctlError):
    """No key, a wrong one, or one whose plan lacks what is asked for."""

    exit_code = ExitCode.KEY


class UnreachableFeedError(SpyctlError):
    """The vendor's server does not answer."""


class UnreachableGatewayError(UnreachableFeedError):
    """The vendor's historical API does not answer."""


class GatewayError(SpyctlError):
    """The client of the vendor's historical API refuses the address or the key it was given."""


class BrokenDownloadError(SpyctlError):
    """A download broke off; asking again is billed again."""


class UnreachableRestError(UnreachableFeedError):
    """The vendor's REST API does not answer."""


class BusError(SpyctlError):
    """Anything that NATS refuses or cannot do."""

    exit_code = ExitCode.NATS


class UnreachableError(BusError):
    """No server answers, or it stayed away longer than we wait."""


class NoServerError(UnreachableError):
    """Nothing listens at the address."""


class NoServerNamedError(UnreachableError):
    """No server was named, and there is none at the default address."""


class NoJetStreamError(BusError):
    """What answers is not a NATS server with JetStream that we can use."""


class NotNatsError(NoJetStreamError):
    """What answers does not speak NATS."""


class TlsError(NoJetStreamError):
    """No encrypted connection can be made."""


class AccessDeniedError(NoJetStreamError):
    """The server does not accept our credentials, or does not permit what we do."""


class UnfitStreamError(BusError):
    """A stream exists that cannot hold our events as promised."""


class OverlappingStreamError(UnfitStreamError):
    """Another stream captures our subjects already."""


class StreamBusyError(BusError):
    """Another run publishes to the same subjects."""


class OtherSourceError(StreamBusyError):
    """The stream received events of another source a moment ago."""


class LeaseHeldError(StreamBusyError):
    """A living run holds the lease on a subject."""


class KeyInUseError(LeaseHeldError):
    """A living run uses the vendor's key."""


class LeaseLostError(StreamBusyError):
    """Another run took a lease from us."""


class NoSpaceError(BusError):
    """There is too little room for what the run would store."""


class AccountLimitError(BusError):
    """The account's limits do not allow what a run stores."""


class RefusedError(BusError):
    """The server keeps refusing a message."""


class LostTrackError(BusError):
    """What the stream holds of a run can no longer be told."""


class StreamGoneError(BusError):
    """A stream was deleted while it was read; it may have been made anew."""


class LostEventsError(BusError):
    """The stream no longer holds events that it has acknowledged."""

    exit_code = ExitCode.INCOMPLETE


class EmbeddedServerError(BusError):
    """The embedded server could not be started or used."""


def expanded(path: str | Path) -> Path:
    """Return a path with the user's home folder for ``~``; what begins with the name of nobody stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib raises where there is no such user


def path_text(path: Path) -> str:
    """Write a path as a user would: a relative one with ``./``, the home folder as ``~``."""
    if not path.is_absolute():
        return str(path) if str(path).startswith(".") else f"./{path}"
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
