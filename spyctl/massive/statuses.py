"""What the vendor says about a connection: whether the key is good, what is subscribed, why it is about to end."""

from collections import Counter
from collections.abc import Callable, Iterable

from spyctl.errors import KeyRefusedError
from spyctl.massive.key_standing import KeyStanding
from spyctl.massive.normalize import Status
from spyctl.massive.subscriptions import Subscriptions
from spyctl.timing.ending import Ending

EVICTED, AUTH_FAILED = "max_connections", "auth_failed"
FATAL_STATUSES = ("slow_consumer", "force_disconnect")
MAX_COMPLAINTS = 100  # different ones
ORDINARY_STATUSES = ("connected", "auth_success", "success")


class Statuses:
    """Reads the statuses of a feed and draws the consequences; ``words`` are the last complaint."""

    def __init__(
        self,
        feed: str,
        subscriptions: Subscriptions,
        standing: KeyStanding,
        ending: Ending,
        note: Callable[[str], None],
    ) -> None:
        self.words = ""
        self._complaints: Counter[str] = Counter()
        self._feed = feed
        self._subscriptions = subscriptions
        self._standing = standing
        self._ending = ending
        self._note = note

    def authenticate(self, statuses: Iterable[Status]) -> bool:
        """Take an answer to the key; returns whether the server has let us in."""
        by_status = {status.status: status for status in statuses}
        if EVICTED in by_status:  # which may be said beside a success
            self.evicted(by_status[EVICTED].message)
        elif "auth_success" in by_status:
            self._standing.accepted()
            return True
        elif AUTH_FAILED in by_status:
            self.words = by_status[AUTH_FAILED].message
            self._ending.ask(AUTH_FAILED)
        elif "connected" not in by_status:
            self._ending.ask("no authentication")
        return False

    def take(self, status: Status) -> None:
        """Take a status that arrived among the frames."""
        self._subscriptions.acknowledge(status.message)
        if status.status == EVICTED:
            self.evicted(status.message)
        elif status.status not in ORDINARY_STATUSES:
            self.words = status.message or status.status
            self._complain(f"{self._feed}: {status.status}: {status.message}")
            if status.status in FATAL_STATUSES:
                self._ending.ask(status.status)  # the close that follows says less, or something else

    def _complain(self, text: str) -> None:
        # Told once, then each time that there are ten times as many.
        if text not in self._complaints and len(self._complaints) >= MAX_COMPLAINTS:
            text = f"{self._feed}: further complaints"
        self._complaints[text] += 1
        times = self._complaints[text]
        if str(times).strip("0") == "1":
            self._note(text if times == 1 else f"{text} ({times:,} times)")

    def evicted(self, message: str) -> None:
        """Note that another connection took over."""
        self.words = message
        alarm = self._standing.evicted()
        self._ending.ask(EVICTED)
        why = "another process uses this key" if alarm else "this key had a connection already"
        self._note(f"{self._feed}: {why} ({message.strip()})")

    def permanent_refusal(self, reason: str) -> KeyRefusedError | None:
        """Return the error of a connection that ended for a reason, where trying again is pointless."""
        if reason == AUTH_FAILED and self._standing.refused():
            return KeyRefusedError(
                f"the {self._feed} feed refuses the key: {self.words}", "spyctl probe tells what the key is good for"
            )
        if reason == EVICTED and self._standing.taken:
            return KeyRefusedError(
                f"another process with this key took over the {self._feed} feed "
                f"{self._standing.recent_evictions} times: {self.words}",
                "end the other one; a key has one connection a market",
            )
        return None
