"""A scripted live gateway, and how fast things happen in tests with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from spyctl.dbn.gateway.feed import GatewayTiming
from spyctl.dbn.gateway.simulator import GatewayPeer, GatewayScript, Sent
from spyctl.market.feeds import Arrival, WrittenArrival, WrittenEvent

# Quick where something breaks, but with the patience of a busy machine where nothing does.
QUICK = GatewayTiming(
    authenticate=10.0, heartbeat=1.0, grace=10.0, first_wait=0.02, longest_wait=0.1, stable=0.3, cool_down=0.1,
    refusals=0.3,
)  # fmt: skip


@dataclass
class Plan(GatewayScript):
    """A gateway that does what a test writes down.

    ``refuse`` says why not to let in, ``most`` how many sessions there may be; ``leave_out`` picks of what is sent
    again what is not; ``cuts`` are the bytes after which one session after the other is cut.
    """

    refuse: str = ""
    most: int = 10
    known: Callable[[str], bool] = lambda symbol: symbol.startswith("ES")
    leave_out: Callable[[Sequence[Sent]], Sequence[Sent]] = lambda records: ()
    cuts: list[int] = field(default_factory=list)
    on_start: list[Callable[[GatewayPeer], None]] = field(default_factory=list)

    def refusal(self, login: dict[str, str], sessions: int) -> str:
        if sessions >= self.most:
            return "User has reached their open connection limit"
        return self.refuse or super().refusal(login, sessions)

    def is_known(self, symbol: str) -> bool:
        return self.known(symbol)

    def again(self, records: Sequence[Sent]) -> Sequence[Sent]:
        gone = self.leave_out(records)
        return [sent for sent in records if sent not in gone]

    def starting(self, peer: GatewayPeer) -> None:
        if self.cuts:
            peer.cut_after = self.cuts.pop(0)

    def started(self, peer: GatewayPeer) -> None:
        if self.on_start:
            self.on_start.pop(0)(peer)


@dataclass
class FuturesListener:
    """Remembers what a futures feed says; a loss, and how it ended, is in ``told``."""

    events: list[WrittenEvent] = field(default_factory=list)
    repeated: int = 0
    oddities: list[str] = field(default_factory=list)
    rejects: list[str] = field(default_factory=list)
    late_ns: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    lost_from_ns: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def last(self) -> str:
        """What was told last, empty before there was anything."""
        return self.told[-1] if self.told else ""

    @property
    def identities(self) -> list[str]:
        return [event.identity for event in self.events]

    def arrived(self, arrival: Arrival | WrittenArrival) -> None:
        assert isinstance(arrival, WrittenArrival)
        self.events += arrival.events
        self.repeated += arrival.repeated
        self.oddities += arrival.oddities
        self.rejects += [reject.reason for reject in arrival.rejects]
        self.late_ns += arrival.late_ns

    def lost(self, feed: str, from_ns: int, reason: str, waited: int) -> None:
        self.told.append(f"lost: {reason}")
        self.lost_from_ns.append(from_ns)

    def back(self, feed: str, to_ns: int, *, filled: bool = False) -> None:
        self.told.append("back" if filled else "back, not filled")

    def short(self, feed: str, missing: int | None) -> None:
        self.told.append(f"short: {missing}")

    def note(self, feed: str, text: str) -> None:
        self.notes.append(text)
