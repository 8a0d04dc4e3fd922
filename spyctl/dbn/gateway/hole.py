"""What a lost connection left out, until another session has sent it again."""

from collections.abc import Collection
from dataclasses import dataclass

from spyctl.dbn.gateway.intake import Intake
from spyctl.dbn.gateway.protocol import SCHEMAS
from spyctl.dbn.gateway.session import GatewaySession
from spyctl.market.feeds import FeedListener
from spyctl.timing.instants import DAY, MINUTE

REPLAY_NS = DAY - MINUTE  # how far back the gateway sends again


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run of the same symbols that came to the event time ``ended_ns`` (Unix ns).

    Everything is to be sent again from ``start_ns`` on (``None``: nothing is, the hole behind it stays one). What it
    has stored since then bears the ``identities``.
    """

    ended_ns: int
    start_ns: int | None = None
    identities: Collection[str] = ()


@dataclass(slots=True)
class Hole:
    """``missing`` events are known not to come any more, of replays that broke off.

    ``unknown`` says that nobody can tell how much is missing, ``gone`` that the gateway sends nothing again. One that
    lies behind an ``earlier`` run may be left as it is.
    """

    open: bool = False
    missing: int = 0
    unknown: bool = False
    gone: bool = False
    earlier: EarlierRun | None = None

    @classmethod
    def behind(cls, earlier: EarlierRun | None) -> "Hole":
        """Return the hole behind an earlier run, one that is not open where there was none."""
        return cls(open=earlier is not None, earlier=earlier)

    @property
    def left(self) -> bool:
        """Whether nobody wants it filled."""
        return self.earlier is not None and self.earlier.start_ns is None

    def start_ns(self, intake: Intake, before: GatewaySession | None, began_ns: int, now_ns: int) -> int | None:
        """Return from when on (Unix ns) everything is to be sent again, ``None`` where nothing is.

        ``before`` is the session that ended, ``began_ns`` when the feed began.
        """
        if not self.open or self.gone or self.left:
            return None
        if self.earlier is not None and self.earlier.start_ns is not None:
            began_ns = self.earlier.start_ns
        start_ns = intake.places.resume_ns(SCHEMAS, began_ns)
        if start_ns < now_ns - REPLAY_NS:
            start_ns, self.unknown = now_ns - REPLAY_NS, True
        if before is not None and before.refilling and before.begun:
            self.missing += intake.missing(start_ns)
        return start_ns

    def close(self, feed: str, session: GatewaySession, listener: FeedListener, now_ns: int) -> "Hole":
        """Tell what became of it now that a session has sent again what it has; returns one that is not open."""
        missing = self.missing + session.missing
        if missing or self.unknown or self.gone:
            listener.short(feed, missing or None)
        else:
            listener.back(feed, now_ns, filled=not self.left)
        return Hole()
