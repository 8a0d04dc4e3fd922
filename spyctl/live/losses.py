"""What the feeds lost: gaps that open and close, and are filled where that was asked for."""

from spyctl.live.errands import Errands
from spyctl.live.feed_policy import FeedPolicy
from spyctl.live.gap_records import GapRecords
from spyctl.live.intake import Intake
from spyctl.market.events import Gap

RESTART = "restart"  # between two runs


class Losses:
    """Tells ``records`` of gaps by the market's clock; instants are Unix ns.

    ``ended_ns`` is the event time that the last run came to, ``None`` where nothing is missing since.
    """

    def __init__(self, records: GapRecords, intake: Intake, errands: Errands, ended_ns: int | None) -> None:
        self.records = records
        self._intake = intake
        self._errands = errands
        self._ended_ns = ended_ns

    def lost(self, policy: FeedPolicy, at_ns: int, reason: str) -> None:
        """Note that nothing has arrived on a feed since an instant."""
        if not policy.published:
            return
        from_ns = self._intake.lost_from(policy, at_ns)
        if self._ended_ns is not None and policy.was_never_up:
            from_ns, reason = min(from_ns, self._ended_ns), RESTART
        self.records.open(policy.feed.name, from_ns, reason)

    def restarted(self, policy: FeedPolicy, from_ns: int) -> None:
        """Note that nothing of a feed was stored between the last run and this one."""
        self.records.open(policy.feed.name, from_ns, RESTART)
        self._intake.lost(policy.feed.name, policy.feed.desired)

    def back(self, policy: FeedPolicy, at_ns: int, *, filled: bool) -> None:
        """Note that events arrive again, and those that were missed as well where the gap is ``filled``."""
        feed = policy.feed
        to_ns = at_ns if policy.resends else self._intake.times.reached(feed.name, at_ns).to_ns
        gap = self.records.close(feed.name, to_ns, 0 if filled else None)
        if gap is not None and not policy.resends and self._intake.fills:
            self._intake.wanted(feed.name, feed.desired)
            self._errands.start(self._fill(feed.name, gap))

    async def _fill(self, feed: str, gap: Gap) -> None:
        if await self._intake.fill(feed, gap):
            self.records.gaps.filled += 1
