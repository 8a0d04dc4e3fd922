"""One session with the gateway, from its first record on: what it says, and what of it is sent again."""

from collections.abc import Sequence

from spyctl.dbn.gateway.intake import Intake
from spyctl.dbn.gateway.protocol import SCHEMAS, GatewayProtocol, Login
from spyctl.dbn.gateway.topics import Topics
from spyctl.dbn.messages import ErrorKind, GatewayFault, Message, Notice, NoticeKind, read_messages
from spyctl.dbn.records import RTYPES, Piece
from spyctl.market.feeds import WrittenArrival
from spyctl.market.symbology import CaptureMapping


class GatewaySession:
    """A session that has everything sent again from ``start_ns`` on (Unix ns; ``None``: only what is new).

    ``missing`` is how much of it did not come, known once ``refilling`` has ended.
    """

    def __init__(self, login: Login, topics: Topics, intake: Intake, start_ns: int | None) -> None:
        subscriptions = topics.subscriptions(start_ns)
        self.protocol = GatewayProtocol(login, subscriptions)
        self.refilling = start_ns is not None
        self.missing = 0
        self.slow = ""
        self._topics = topics
        self._intake = intake
        self._start_ns = start_ns
        self._begun = False
        self._awaited = {subscription.schema for subscription in subscriptions}  # whose replay is not over
        self._faults: list[GatewayFault] = []

    @property
    def begun(self) -> bool:
        """Whether records have come."""
        return self._begun

    def take(self, piece: Piece, now_ns: int, clock_ns: int) -> WrittenArrival:
        """Take in records that arrived at an instant (Unix ns, and monotonic ns), and what is said between them."""
        assert self.protocol.header is not None
        if not self._begun:
            self._begun = True
            self._intake.begin(self.protocol.header, self._start_ns)
        messages = list(read_messages(self.protocol.header, piece))
        if skipped := [m for m in messages if isinstance(m, GatewayFault) and m.kind is ErrorKind.SKIPPED]:
            piece = _before(piece, skipped[0].offset)
        if mappings := [message for message in messages if isinstance(message, CaptureMapping)]:
            self._intake.learn(mappings, now_ns)
        arrival = self._intake.take(piece, now_ns, clock_ns)
        self._hear(messages)
        if not self._topics.complete:
            self._hold(piece)
        if self.refilling and (not self._awaited or (self._intake.refill is not None and self._intake.refill.is_past)):
            self.refilling = False
            self.missing = self._intake.missing()
            self._intake.end_refill()
        return arrival

    def take_faults(self) -> Sequence[GatewayFault]:
        """Return what the gateway has complained of since the last call."""
        faults, self._faults = self._faults, []
        return faults

    def _hear(self, messages: Sequence[Message]) -> None:
        for message in messages:
            match message:
                case GatewayFault():
                    self._faults.append(message)
                case Notice(NoticeKind.SUBSCRIBED, text):
                    self._topics.acknowledge(text)
                case Notice(NoticeKind.REPLAYED, text):
                    self._awaited -= {schema for schema in SCHEMAS if schema in text} or self._awaited
                case Notice(NoticeKind.HEARTBEAT):
                    self._awaited.clear()  # there is one only where there is nothing to send
                case Notice(NoticeKind.SLOW_READER, text):
                    self.slow = text

    def _hold(self, piece: Piece) -> None:
        # Data of a schema say as much as its acknowledgement.
        rtypes = {piece.data[at + 1] for at in piece.starts}
        for schema in SCHEMAS:
            if RTYPES[schema] in rtypes:
                self._topics.acknowledge(schema)


def _before(piece: Piece, offset: int) -> Piece:
    # What came before some records were skipped; the rest is sent again, with what was skipped.
    end = offset - piece.offset
    return Piece(piece.data[:end], [at for at in piece.starts if at < end], piece.offset)
