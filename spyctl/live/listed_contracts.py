"""The contracts that are listed for the expiry, over REST: asked for each hour, since more are listed meanwhile."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date

from spyctl.live.strike_window import StrikeWindow
from spyctl.massive.rest import Listing
from spyctl.terminal.text import count
from spyctl.timing.clock import Clock
from spyctl.timing.instants import HOUR, SECOND

EVERY_NS = HOUR
RETRY_NS = 60 * SECOND


class ListedContracts:
    """Keeps a window to the strikes that ``ask`` says are listed, ``None`` where it cannot tell.

    ``note`` is told once where the window has to do without, and of contracts within it that have another root.
    """

    def __init__(
        self,
        ask: Callable[[str, date], Awaitable[Listing | None]],
        window: StrikeWindow,
        note: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._ask = ask
        self._window = window
        self._note = note
        self._asked_for: date | None = None
        self._again_ns = 0
        self._clock = clock
        self._missed = False
        self._others: dict[str, Sequence[int]] = {}  # by root, not told of yet
        self._told: set[tuple[str, date]] = set()

    def due(self) -> bool:
        """Tell whether to :meth:`refresh` now; it is not due again before some time."""
        expiry = self._window.manager.expiry
        if self._asked_for == expiry and self._clock.now_ns() < self._again_ns:
            return False
        self._asked_for, self._again_ns = expiry, self._clock.now_ns() + EVERY_NS
        return True

    async def refresh(self) -> None:
        """Ask, and have the window take what is listed."""
        manager = self._window.manager
        expiry = manager.expiry
        if expiry is None:
            return
        listing = await self._ask(manager.underlying, expiry)
        if expiry != manager.expiry:
            return
        strikes = None if listing is None else listing.strikes
        if not strikes:  # none may be listed yet, or the list is unavailable
            self._again_ns = self._clock.now_ns() + RETRY_NS
            if manager.listed is None and not self._missed:
                why = "no list of contracts over REST"
                if strikes is not None:
                    why = f"the vendor lists no contracts of {manager.underlying} that expire {expiry}"
                self._note(f"{why}: every whole dollar is subscribed")
        else:
            self._window.relist(strikes, self._clock.now_ns())
        self._missed = not strikes
        others = {} if listing is None else listing.others
        self._others = {root: strikes for root, strikes in others.items() if (root, expiry) not in self._told}

    def tell_left_out(self) -> None:
        """Tell of the contracts of other roots that are listed within the window, of each root once an expiry."""
        manager = self._window.manager
        for root in sorted(self._others):
            contracts = sum(map(manager.spans, self._others[root]))
            if contracts and manager.expiry is not None:
                del self._others[root]
                self._told.add((root, manager.expiry))
                left = f"{count('contracts', contracts)} of {root} listed for {manager.expiry}"
                self._note(f"left out of the window of {manager.underlying}: {left}")
