"""A check, its result, and what would help."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from spyctl.errors import ExitCode, SpyctlError


class Verdict(StrEnum):
    """How a check ended."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Advice(Enum):
    """What would help; the command line knows the words."""

    SET_KEY = auto()
    COPY_KEY = auto()
    BETTER_PLAN = auto()
    REAL_TIME_PLAN = auto()
    DELAYED_FEED = auto()
    OTHER_EXPIRY = auto()
    WAIT_A_MINUTE = auto()
    RETRY_LATER = auto()
    CHECK_API_ADDRESS = auto()
    CHECK_FEED_ADDRESS = auto()
    CHECK_ES_GATEWAY = auto()
    SET_CLOCK = auto()
    STOP_OTHER_PROCESS = auto()
    FORCE_SOCKETS = auto()
    NAME_SERVER = auto()
    START_SERVER = auto()
    OTHER_STREAM = auto()
    RAISE_LIMITS = auto()
    MAKE_ROOM = auto()
    OTHER_BUCKET = auto()
    TRY_A_RUN = auto()
    LIST_FILES = auto()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    ``took_s`` is ``None`` where nothing was waited for, ``code`` the exit code of a failure. What would help is
    ``advice``, or the remedy of ``error``.
    """

    name: str
    verdict: Verdict
    text: str
    took_s: float | None = None
    advice: Advice | None = None
    error: SpyctlError | None = None
    code: ExitCode = ExitCode.OK


def skipped(names: Sequence[str], reason: str, advice: Advice | None = None) -> list[CheckResult]:
    """Return checks as left out for a reason."""
    return [CheckResult(name, Verdict.SKIP, reason, advice=advice) for name in names]


def masked(variable: str, key: str) -> str:
    """Write which key is meant: its variable, and its last four characters where it is long enough."""
    return f"{variable} (…{key[-4:]})" if len(key) >= 8 else variable
