"""A gateway without a market: a loopback server that speaks the live gateway's protocol.

It serves the front contract of ES as a random walk, keeps what it sent for a while, and sends it again where a
subscription has a ``start``. Tests script the same server (:class:`GatewayScript`): whom it lets in, what it leaves
out, and where it breaks.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256

from spyctl.dbn.gateway.connection import Address
from spyctl.dbn.gateway.protocol import DATASET, control_line, parse_line, symbol_type
from spyctl.dbn.messages import (
    ErrorKind,
    NoticeKind,
    fault_record,
    live_header,
    mapping_record,
    notice_record,
)
from spyctl.dbn.records import with_ts_out
from spyctl.dbn.sample import front_contract
from spyctl.dbn.synthetic import Stamp, SyntheticMarket
from spyctl.timing.instants import SECOND, US
from spyctl.timing.tempo import FRAME_S, Tempo

KEY = "db-simulated"
CHALLENGE = "simulated"
HISTORY = 100_000  # records that can be sent again
_RECV_NS = 100 * US  # from the event to the capture
_MONTHS = {3: "H", 6: "M", 9: "U", 12: "Z"}
_MAPPING = "mapping"


@dataclass(frozen=True, slots=True)
class Contract:
    """The instrument that the front symbols stand for."""

    instrument_id: int
    raw_symbol: str

    @classmethod
    def front(cls, day: date) -> "Contract":
        """Return the front contract of a day."""
        instrument_id, _, end = front_contract(day)
        return cls(instrument_id, f"ES{_MONTHS[end.month]}{end.year % 10}")


@dataclass(frozen=True, slots=True)
class Sent:
    """A record that was sent, or a mapping; ``ts_event_ns`` is Unix ns."""

    schema: str
    ts_event_ns: int
    record: bytes


@dataclass(eq=False, slots=True)
class GatewayPeer:
    """A session as the gateway sees it; ``login`` and ``lines`` are what it was sent.

    ``cut_after`` is how many more bytes go out before the connection is cut, ``None`` for no cut.
    """

    writer: asyncio.StreamWriter
    number: int
    login: dict[str, str] = field(default_factory=dict)
    lines: list[dict[str, str]] = field(default_factory=list)
    started: bool = False
    cut_after: int | None = None
    sent_s: float = 0.0

    @property
    def schemas(self) -> frozenset[str]:
        """What it has subscribed to."""
        return frozenset(line["schema"] for line in self.lines)

    @property
    def symbols(self) -> list[str]:
        """The symbols it has subscribed to."""
        return sorted({symbol for line in self.lines for symbol in line["symbols"].split(",")})

    @property
    def start_ns(self) -> int | None:
        """From when on it wants everything sent again."""
        starts = [int(line["start"]) for line in self.lines if "start" in line]
        return min(starts, default=None)

    def send(self, data: bytes) -> None:
        """Send some bytes, as far as the cut lets them."""
        if self.writer.is_closing():
            return
        self.sent_s = time.monotonic()
        if self.cut_after is not None and len(data) >= self.cut_after:
            self.writer.write(data[: self.cut_after])
            self.writer.close()
            return
        if self.cut_after is not None:
            self.cut_after -= len(data)
        self.writer.write(data)

    def say(self, *records: bytes) -> None:
        """Send records, stamped with the time."""
        now_ns = time.time_ns()
        self.send(b"".join(with_ts_out(record, now_ns) for record in records))

    def abort(self) -> None:
        """Cut the connection with a reset."""
        self.writer.transport.abort()


class GatewayScript:
    """How the gateway behaves; a test overrides what it wants different."""

    key = KEY
    heartbeat_s: float | None = None  # as asked for
    says_replayed = True

    def refusal(self, login: dict[str, str], sessions: int) -> str:
        """Return why a login is refused, empty where it is not; so many sessions are open."""
        digest = sha256(f"{CHALLENGE}|{self.key}".encode()).hexdigest()
        return "" if login.get("auth") == f"{digest}-{self.key[-5:]}" else "CRAM authentication failed"

    def is_known(self, symbol: str) -> bool:
        """Tell whether a symbol stands for the front contract."""
        return symbol.partition(".")[0] == "ES"

    def again(self, records: Sequence[Sent]) -> Sequence[Sent]:
        """Return what of the records that a session wants sent again is sent."""
        return records

    def starting(self, peer: GatewayPeer) -> None:
        """Do something to a session that is about to get its header."""

    def started(self, peer: GatewayPeer) -> None:
        """Do something to a session that is about to get its records."""


class GatewaySimulator:
    """The server. ``rate`` is records a second, 0 for silence; ``peers`` are the sessions now.

    Every ``cut_every_s`` seconds it cuts them all, ``None`` for never. ``sent`` counts the records of the market.
    """

    def __init__(
        self,
        rate: float = 200.0,
        seed: int = 7,
        script: GatewayScript | None = None,
        *,
        cut_every_s: float | None = None,
    ) -> None:
        self.rate = rate
        self.cut_every_s = cut_every_s
        self.peers: list[GatewayPeer] = []
        self.connections = 0
        self.sent = 0
        self.script = script or GatewayScript()
        today = datetime.now(UTC).date()
        self.contract = Contract.front(today)
        self._market = SyntheticMarket(seed, today)
        self._sequence = 0
        self._last_ns = 0
        self._history: deque[Sent] = deque(maxlen=HISTORY)
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> Address:
        """Where it listens."""
        assert self._server is not None
        return Address("127.0.0.1", self._server.sockets[0].getsockname()[1])

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["GatewaySimulator"]:
        """Listen on a free port of the loopback interface."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        tasks = [asyncio.create_task(self._play())]
        if self.cut_every_s is not None:
            tasks.append(asyncio.create_task(self._cut(self.cut_every_s)))
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            self._server.close()
            self.abort()

    def abort(self) -> None:
        """Cut all connections with a reset."""
        for peer in list(self.peers):
            peer.abort()

    def roll(self, contract: Contract) -> None:
        """Have the front symbols stand for another instrument from now on."""
        self.contract = contract
        now_ns = time.time_ns()
        for symbol in {symbol for peer in self.peers for symbol in peer.symbols}:
            self._emit([Sent(_MAPPING, now_ns, self._mapping(symbol, now_ns))])

    def step(self, count: int, spread_ns: int = 0) -> None:
        """Have so many records happen, at least, over the time up to now."""
        first_ns = time.time_ns() - spread_ns
        records: list[Sent] = []
        while len(records) < count:
            self._sequence += 1
            ts_ns = max(self._last_ns, first_ns + spread_ns * len(records) // count)
            stamp = Stamp(self.contract.instrument_id, ts_ns, ts_ns + _RECV_NS, 15 * US, self._sequence)
            records += [Sent(schema, ts_ns, bytes(record)) for schema, record in self._market.step(stamp)]
            self._last_ns = ts_ns
        self.sent += len(records)
        self._emit(records)

    # --- sessions

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        peer = GatewayPeer(writer, self.connections)
        self.peers.append(peer)
        try:
            peer.send(control_line(lsg_version="0.0.0") + control_line(cram=CHALLENGE))
            while line := await reader.readline():
                if not self._answer(peer, parse_line(line)):
                    break
        except (ConnectionError, ValueError):
            pass
        finally:
            self.peers.remove(peer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _answer(self, peer: GatewayPeer, line: dict[str, str]) -> bool:
        if "auth" in line:
            peer.login = line
            refusal = self.script.refusal(line, sum(bool(other.login) for other in self.peers) - 1)
            peer.send(control_line(success=0, error=refusal) if refusal else control_line(success=1, session_id=1))
            return not refusal
        if "schema" in line:
            peer.lines.append(line)
        elif "start_session" in line:
            self._start(peer)
        return True

    def _start(self, peer: GatewayPeer) -> None:
        now_ns = time.time_ns()
        self.script.starting(peer)
        peer.send(live_header(peer.login.get("dataset", DATASET)))
        self.script.started(peer)
        for schema in sorted(peer.schemas):
            peer.say(notice_record(NoticeKind.SUBSCRIBED, f"Subscription request for {schema} data succeeded", now_ns))
        for symbol in peer.symbols:
            if self.script.is_known(symbol):
                peer.say(self._mapping(symbol, now_ns))
            else:
                peer.say(fault_record(ErrorKind.SYMBOL, f"Failed to resolve symbol: {symbol}", now_ns))
        if peer.start_ns is not None:
            again = [sent for sent in self._history if sent.ts_event_ns >= peer.start_ns]
            self._give(peer, self.script.again(again))
            for schema in sorted(peer.schemas) if self.script.says_replayed else ():
                peer.say(notice_record(NoticeKind.REPLAYED, f"Finished {schema} replay", now_ns))
        peer.started = True

    def _mapping(self, symbol: str, ns: int) -> bytes:
        contract = self.contract
        return mapping_record(symbol, symbol_type(symbol), contract.raw_symbol, contract.instrument_id, ns)

    def _give(self, peer: GatewayPeer, records: Iterable[Sent]) -> None:
        if any(map(self.script.is_known, peer.symbols)):
            peer.say(*(sent.record for sent in records if sent.schema == _MAPPING or sent.schema in peer.schemas))

    # --- the market

    def _emit(self, records: Sequence[Sent]) -> None:
        self._history += records
        for peer in list(self.peers):
            if peer.started:
                self._give(peer, records)

    async def _play(self) -> None:
        last_s = time.monotonic()
        tempo = Tempo(last_s)
        while True:
            await asyncio.sleep(FRAME_S)
            now_s = time.monotonic()
            spread_ns, last_s = round((now_s - last_s) * SECOND), now_s
            if (count := tempo.take(now_s, self.rate)) > 0:
                before = self.sent
                self.step(count, spread_ns)
                tempo.happened(self.sent - before - count)  # a trade comes with its book
            for peer in list(self.peers):
                quiet_s = self.script.heartbeat_s or float(peer.login.get("heartbeat_interval_s", 30))
                if peer.started and now_s - peer.sent_s >= quiet_s:
                    peer.say(notice_record(NoticeKind.HEARTBEAT, "Heartbeat", time.time_ns()))

    async def _cut(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            self.abort()
