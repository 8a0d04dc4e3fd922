"""What a lost connection left out, until another session has sent it again."""

from dataclasses import dataclass

from spyctl.dbn.gateway.intake import Intake
from spyctl.dbn.gateway.protocol import SCHEMAS
from spyctl.dbn.gateway.session import GatewaySession
from spyctl.market.feeds import FeedListener
from spyctl.timing.instants import DAY, MINUTE

REPLAY_NS = DAY - MINUTE  # how far back the gateway sends again


@dataclass(slots=True)
class Hole:
    """``missing`` events are known not to come any more, of replays that broke off.

    ``unknown`` says that nobody can tell how much is missing, ``gone`` that the gateway sends nothing again.
    """

    open: bool = False
    missing: int = 0
    unknown: bool = False
    gone: bool = False

    def start_ns(self, intake: Intake, before: GatewaySession | None, began_ns: int, now_ns: int) -> int | None:
        """Return from when on (Unix ns) everything is to be sent again, ``None`` where nothing is.

        ``before`` is the session that ended, ``began_ns`` when the feed began.
        """
        if not self.open or self.gone:
            return None
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
            listener.back(feed, now_ns)
        return Hole()
