"""Every error that spyctl raises on purpose, and the exit code each one ends the program with.

    SpyctlError                     1  failed
    ├── UsageError                  2  a wrong option or combination of options
    │   ├── AddressError               not an address to listen on
    │   ├── ListenError                nothing can listen on an address
    │   ├── FastIngestUnavailableError the server or the stream takes no batches
    │   └── IncompleteTlsError         a client certificate without its key, or the reverse
    ├── DamagedFileError            1  a file that is not, or not wholly, DBN
    │   └── OtherSchemaError           a DBN file that holds neither trades nor mbp-10
    ├── MergeLimitError             1  more events inside the reorder window than may be held
    ├── NoDataError                 6  no such date, schema or folder
    ├── PayloadError                1  a message that is none of ours
    ├── ResumeError                 1  a run cannot be continued
    │   ├── NoRunError                 there is none
    │   ├── RunCompleteError           it has reached its end
    │   └── OtherRunError              its events would be others
    ├── KeyRefusedError             4  the vendor refuses the key, or the plan lacks the data
    ├── UnreachableFeedError        1  the vendor does not answer
    └── BusError                    5  NATS
        ├── UnreachableError           no server answers, or it stays away
        │   ├── NoServerError          nothing listens there
        │   └── NoServerNamedError     none was named, and there is none by default
        ├── NoJetStreamError           a server without JetStream
        │   ├── NotNatsError           what answers does not speak NATS
        │   ├── TlsError               no encrypted connection can be made
        │   └── AccessDeniedError      the server does not accept our credentials
        ├── UnfitStreamError           a stream that cannot hold our events
        │   └── OverlappingStreamError another stream captures our subjects
        ├── StreamBusyError            somebody else is publishing there
        │   ├── OtherSourceError       events of another source arrived a moment ago
        │   ├── LeaseHeldError         a living run holds the lease
        │   └── LeaseLostError         another run took the lease from us
        ├── NoSpaceError               too little room for what would be stored
        ├── RefusedError               the server will not store a message
        ├── LostTrackError             the server can no longer tell what it has stored
        └── EmbeddedServerError        our own server did not start

An error is one sentence (what and where) and one remedy (what to type). Neither ever holds a secret.
"""

from enum import IntEnum


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


class OtherSchemaError(DamagedFileError):
    """A DBN file is whole, but nothing in it is replayed."""


class MergeLimitError(SpyctlError):
    """More events lie inside the reorder window than may be held in memory."""


class NoDataError(SpyctlError):
    """The folder, date or schema asked for is not there."""

    exit_code = ExitCode.NO_DATA


class PayloadError(SpyctlError):
    """A message does not have the shape that its subject promises."""


class ResumeError(SpyctlError):
    """A run cannot be continued exactly where it ended."""


class NoRunError(ResumeError):
    """There is no run to continue."""


class RunCompleteError(ResumeError):
    """The run has reached its end."""


class OtherRunError(ResumeError):
    """The run was made of other files or options, or for another stream."""


class KeyRefusedError(SpyctlError):
    """No key, a wrong one, or one whose plan lacks what is asked for."""

    exit_code = ExitCode.KEY


class UnreachableFeedError(SpyctlError):
    """The vendor's server does not answer."""


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
    """The server does not accept our credentials."""


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


class LeaseLostError(StreamBusyError):
    """Another run took a lease from us."""


class NoSpaceError(BusError):
    """There is too little room for what the run would store."""


class RefusedError(BusError):
    """The server keeps refusing a message."""


class LostTrackError(BusError):
    """What the stream holds of a run can no longer be told."""


class EmbeddedServerError(BusError):
    """The embedded server could not be started or used."""
