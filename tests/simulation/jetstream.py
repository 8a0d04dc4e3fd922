"""A model of JetStream: one stream, batches, the memory of ids, a bucket; it may restart, elect, and lose what it held.

What it answers is what nats-server 2.14 answers, as far as spyctl asks. Nothing in it waits: :mod:`network` brings
messages when they arrive, and carries the answers back.
"""

import random
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from spyctl.bus.acks.fast_ingest import UNKNOWN_BATCH, Op
from tests.simulation.world import SECOND, World
from tests.support.clock import WALL_NS
from tests.support.connection import Published

BATCH_LIFE_NS = 10 * SECOND
BORN = "2025-12-16T14:30:00Z"
Answer = Callable[[Any], None]


@dataclass(slots=True)
class Stored:
    """A message that the stream holds; ``writer`` is the process that sent it, which no server knows."""

    seq: int
    subject: str
    payload: bytes
    message_id: str
    writer: str
    stored_ns: int


@dataclass(slots=True)
class Batch:
    """A batch that the server knows: how many messages it has stored of it, the last sequence, when one last came."""

    flow: int
    count: int = 0
    seq: int = 0
    touched_ns: int = 0
    answer: Answer = lambda _: None


@dataclass(slots=True)
class Config:
    """What differs from seed to seed; a write is agreed upon after ``commit_ns``, at once where that is 0.

    ``elsewhere`` says that connections lead to another server of a cluster than those that have the stream: nobody who
    is connected learns of their restart, unless by an answer, or by none.
    """

    replicas: int = 1
    commit_ns: int = 0
    max_messages: int = 0
    window_ns: int = 120 * SECOND  # for how long ids are remembered
    elsewhere: bool = False
    batched: bool = True
    version: tuple[int, int] = (2, 14)


@dataclass
class Bucket:
    """A KV bucket: each write has a revision and states the one that it replaces, 0 for none, ``None`` for any."""

    entries: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    revision: int = 0
    made: bool = False
    away_until_ns: int = 0

    def get(self, key: str) -> tuple[int, bytes]:
        """Return revision and value, ``(0, b"")`` for a key that is not there."""
        return self.entries.get(key, (0, b""))

    def put(self, key: str, value: bytes, last: int | None) -> int | None:
        """Write a value; returns its revision, ``None`` where another one was written meanwhile."""
        if last is not None and self.get(key)[0] != last:
            return None
        self.revision += 1
        self.entries[key] = self.revision, value
        return self.revision


@dataclass
class JetStream:
    """``away_until_ns`` is until when it answers nothing."""

    world: World
    rng: random.Random
    config: Config
    bucket: Bucket = field(default_factory=Bucket)
    held: list[Stored] = field(default_factory=list)
    deaths: int = 0  # of the server that connections lead to
    ever: dict[int, bytes] = field(default_factory=dict)  # by sequence, the payload that was last stored there
    last_seq: int = 0
    away_until_ns: int = 0
    missed: bool = False  # whether those who are away are known to be, so that somebody else refuses what comes
    created: bool = False
    _batches: dict[str, Batch] = field(default_factory=dict)
    _ids: dict[str, tuple[int, int]] = field(default_factory=dict)  # sequence, and when it was stored
    _proposed: list[Callable[[], None]] = field(default_factory=list)
    _term: int = 0

    @property
    def away(self) -> bool:
        return self.world.now_ns < self.away_until_ns

    @property
    def down_until_ns(self) -> int:
        """Until when nobody can connect; of several servers one is always there."""
        return self.away_until_ns if self.config.replicas == 1 and not self.config.elsewhere else 0

    @property
    def first_seq(self) -> int:
        if self.held:
            return self.held[0].seq
        return self.last_seq + 1 if self.last_seq else 0  # before the first message, and behind the last

    # --- what is published

    def publish(self, message: Published, writer: str, answer: Answer) -> None:
        """Take a message as it arrives, unless there is no leader to take it."""
        if self.away:
            if self.missed:
                answer(None)
            return
        if not self.config.commit_ns:
            self._take(message, writer, answer)
            return
        proposal = lambda: self._take(message, writer, answer)  # noqa: E731
        self._proposed.append(proposal)
        self.world.after(self.config.commit_ns, lambda: self._agreed(proposal))

    def _agreed(self, proposal: Callable[[], None]) -> None:
        if not self.away and any(each is proposal for each in self._proposed):
            self._proposed.remove(proposal)
            proposal()

    def _take(self, message: Published, writer: str, answer: Answer) -> None:
        if message.reply.endswith(".$FI"):
            self._take_batched(message, writer, answer)
            return
        headers = _headers(message.headers)
        message_id = headers.get("Nats-Msg-Id", "")
        known = self._ids.get(message_id)
        if known is not None and self.world.now_ns - known[1] < self.config.window_ns:
            answer({"stream": "MARKET_DATA", "seq": known[0], "duplicate": True})
        elif error := _refusal(self.held, message.subject, headers):
            answer({"error": error})
        else:
            answer({"stream": "MARKET_DATA", "seq": self.store(message.subject, message.payload, writer, message_id)})

    def _take_batched(self, message: Published, writer: str, answer: Answer) -> None:
        *_, name, flow, _gap, number, op, _ = message.reply.split(".")
        batch = self._batches.get(name)
        if batch is not None and self.world.now_ns - batch.touched_ns >= BATCH_LIFE_NS:
            batch = self._batches.pop(name) and None
        if batch is None:
            if Op(int(op)) is not Op.START:
                answer({"error": {"code": 400, "err_code": UNKNOWN_BATCH, "description": "unknown batch"}})
                return
            answer({"type": "ack", "seq": 0, "msgs": int(flow)})  # it takes batches
            if error := _refusal(self.held, message.subject, _headers(message.headers)):
                answer({"error": error})
                return
            batch = self._batches[name] = Batch(int(flow))
        batch.touched_ns, batch.answer = self.world.now_ns, answer
        next_number = int(number) + (Op(int(op)) is Op.PING)  # a ping has the number of the message before it
        match Op(int(op)):
            case _ if next_number > batch.count + 1:  # a message is missing
                answer({"type": "gap", "last_seq": batch.count + 1, "seq": next_number})
                self._close(name)
            case Op.COMMIT:
                self._close(name)
            case Op.PING:
                answer({"type": "ack", "seq": batch.count - batch.count % batch.flow, "msgs": batch.flow})
            case _ if error := _refusal(self.held, message.subject, _headers(message.headers)):
                answer({"type": "err", "seq": int(number), "error": error})
                self._close(name)
            case _:
                batch.seq = self.store(message.subject, message.payload, writer, "")
                batch.count += 1
                if batch.count % batch.flow == 0:
                    answer({"type": "ack", "seq": batch.count, "msgs": batch.flow})

    def _close(self, name: str) -> None:
        batch = self._batches.pop(name)
        batch.answer({"stream": "MARKET_DATA", "batch": name, "count": batch.count, "seq": batch.seq})

    def store(self, subject: str, payload: bytes, writer: str, message_id: str = "") -> int:
        """Store a message, and let the oldest one go where there are too many."""
        self.last_seq += 1
        self.ever[self.last_seq] = payload
        self.held.append(Stored(self.last_seq, subject, payload, message_id, writer, self.world.now_ns))
        if message_id:
            self._ids[message_id] = self.last_seq, self.world.now_ns
        if self.config.max_messages and len(self.held) > self.config.max_messages:
            del self.held[0]
        return self.last_seq

    # --- what befalls it

    def restart(self, away_ns: int, lost: int) -> None:
        """Be gone for a while, forget all batches, and lose so many of the newest messages, which were not synced."""
        self.away_until_ns = max(self.away_until_ns, self.world.now_ns + away_ns)
        self.deaths += self.config.replicas == 1 and not self.config.elsewhere
        self.missed = self.config.elsewhere and self.rng.random() < 0.5
        self._batches.clear()
        self._proposed.clear()
        if lost:
            del self.held[-lost:]
            self.last_seq = self.held[-1].seq if self.held else 0
        self._ids = {each.message_id: (each.seq, each.stored_ns) for each in self.held if each.message_id}

    def elect(self, away_ns: int, *, forgets: bool) -> None:
        """Have no leader for a while. Of what was not agreed upon yet, the first part is stored by the next one."""
        self.away_until_ns = max(self.away_until_ns, self.world.now_ns + away_ns)
        self.missed = False
        if forgets:
            self._batches.clear()
        kept = self._proposed[: self.rng.randint(0, len(self._proposed))]
        self._proposed.clear()
        self._term += 1
        term = self._term

        def lead() -> None:
            if term == self._term:
                for proposal in kept:
                    proposal()

        self.world.at(self.away_until_ns + self.rng.randint(0, SECOND // 10), lead)

    def purge(self) -> None:
        """Let all messages go, as an administrator does."""
        self.held.clear()

    # --- what is asked

    def api(self, subject: str, request: dict[str, Any] | None) -> dict[str, Any]:
        """Answer a request of the API, with an ``error`` where the server has one."""
        verb = ".".join(subject.split(".")[:2])
        if subject.startswith("STREAM.INFO.KV_"):
            keys = {f"$KV.SPYCTL.{key}": 1 for key in self.bucket.entries}
            return {"config": {"num_replicas": self.config.replicas}, "state": {"subjects": keys}}
        if verb == "STREAM.CREATE":
            self.created = True
        if not self.created:
            return {"error": {"code": 404, "err_code": 10059, "description": "stream not found"}}
        match verb:
            case "STREAM.INFO" | "STREAM.CREATE" | "STREAM.UPDATE":
                return self._info()
            case "CONSUMER.CREATE":
                config = (request or {})["config"]
                wanted = config.get("filter_subjects") or [config["filter_subject"]]
                return {"num_pending": sum(1 for each in self.after(config["opt_start_seq"]) if each.subject in wanted)}
            case "CONSUMER.DELETE":
                return {}
        assert subject.startswith("STREAM.MSG.GET."), subject
        found = _found(self.held, request or {})
        if found is not None:
            return {"message": _as_json(found)}
        return {"error": {"code": 404, "err_code": 10037, "description": "no message found"}}

    def after(self, seq: int) -> list[Stored]:
        """Return what it holds from a sequence on."""
        return [each for each in self.held if each.seq >= seq]

    def _info(self) -> dict[str, Any]:
        config = {
            "name": "MARKET_DATA", "subjects": ["market.*", "market.*.*"], "num_replicas": self.config.replicas,
            "duplicate_window": self.config.window_ns, "allow_batched": self.config.batched,
            "max_msgs": self.config.max_messages or -1,
        }  # fmt: skip
        holes = self.last_seq - self.first_seq + 1 - len(self.held) if self.held else 0
        state = {
            "messages": len(self.held), "bytes": 50 * len(self.held), "first_seq": self.first_seq,
            "last_seq": self.last_seq, "num_deleted": holes,
        }  # fmt: skip
        return {"config": config, "state": state, "created": BORN}


def _refusal(held: Sequence[Stored], subject: str, headers: dict[str, str]) -> dict[str, Any] | None:
    name = "Nats-Expected-Last-Subject-Sequence"
    if name not in headers:
        return None
    fence = headers.get(f"{name}-Subject", subject)
    last = max((each.seq for each in held if each.subject == fence), default=0)
    if last == int(headers[name]):
        return None
    return {"code": 400, "err_code": 10071, "description": f"wrong last sequence: {last}"}


def _found(held: Sequence[Stored], place: dict[str, Any]) -> Stored | None:
    if "last_by_subj" in place:
        return next((each for each in reversed(held) if each.subject == place["last_by_subj"]), None)
    found = next((each for each in held if each.seq >= place["seq"]), None)
    return found if found is not None and (found.seq == place["seq"] or "next_by_subj" in place) else None


def _headers(block: bytes) -> dict[str, str]:
    lines = (line.decode().partition(":") for line in block.split(b"\r\n")[1:] if line)
    return {name: value.strip() for name, _, value in lines}


def _as_json(stored: Stored) -> dict[str, Any]:

    header = f"NATS/1.0\r\nNats-Msg-Id: {stored.message_id}\r\n\r\n" if stored.message_id else ""
    moment = datetime.fromtimestamp((stored.stored_ns + WALL_NS) // SECOND, UTC)
    return {
        "seq": stored.seq, "subject": stored.subject, "time": f"{moment:%Y-%m-%dT%H:%M:%S}Z",
        "data": b64encode(stored.payload).decode(), "hdrs": b64encode(header.encode()).decode(),
    }  # fmt: skip
