"""Scripts of messages and questions, drawn from a number, that the model and a real server answer alike.

What takes time (the life of a batch, the memory of ids) is no part of them.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any
from uuid import uuid4

import orjson
from nats.aio.msg import Msg

from spyctl.bus.acks.fast_ingest import Op, batch_reply
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.fence import fence_header
from spyctl.bus.stream import desired_config
from tests.simulation.jetstream import Config, JetStream
from tests.simulation.world import World
from tests.support.connection import Published
from tests.support.waiting import eventually

STEPS = 30
_MESSAGES = ("plain", "plain", "id", "id", "fenced", "close", "shift")
_BATCHES = ("start", "start", "add", "add", "add", "add", "ping", "commit", "gap", "unknown", "fenced start")
_QUESTIONS = ("info", "get", "at", "last", "count", "purge")


@dataclass
class Script:
    """``steps`` are messages, or names of questions with a sequence; one half comes before a restart of the server."""

    number: int
    max_messages: int
    steps: list[Published | tuple[str, int]] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        return f"s{self.number}"

    @property
    def inbox(self) -> str:
        return f"_INBOX.script{self.number}"

    @classmethod
    def of(cls, number: int) -> "Script":
        """Draw a script from its number."""
        rng = random.Random(number)
        script = cls(number, rng.choice((0, 0, 0, 8)))
        batches: dict[str, int] = {}  # by name, how many messages were sent
        for n in range(STEPS):
            kind = rng.choice(rng.choice((_MESSAGES, _BATCHES, _BATCHES, _QUESTIONS)))
            if kind in _QUESTIONS:
                if kind != "purge" or rng.random() < 0.2:
                    script.steps.append((kind, rng.randint(1, STEPS)))
            elif kind in _MESSAGES:
                script.steps.append(script._message(rng, kind, n))
            else:
                script.steps.append(script._batched(rng, kind, n, batches))
        return script

    def _message(self, rng: random.Random, kind: str, n: int) -> Published:
        fence = f"{self.prefix}.market.fences.t"
        lines = {
            "id": b"Nats-Msg-Id: id%d\r\n" % rng.randint(1, 5), "fenced": fence_header(fence, self._last(rng)),
            "shift": b"Nats-Expected-Last-Subject-Sequence: %d\r\n" % self._last(rng),
        }.get(kind, b"")  # fmt: skip
        headers = b"NATS/1.0\r\n" + lines + b"\r\n" if lines else b""
        subject = fence if kind in ("close", "shift") else self._subject(rng)
        return Published(subject, f"{self.inbox}.message{n}", headers, b"message %d" % n)

    def _batched(self, rng: random.Random, kind: str, n: int, batches: dict[str, int]) -> Published:
        # A server that has several batches lets their flows grow from 1 on; whoever publishes for us has one.
        if ("start" in kind and self._flow == 1) or not batches:
            name, op, number = f"batch{n}", Op.START, 1
            batches[name] = 1
        else:
            name = rng.choice(sorted(batches))
            op = {"ping": Op.PING, "commit": Op.COMMIT, "unknown": rng.choice((Op.ADD, Op.PING, Op.COMMIT))}.get(
                kind, Op.ADD
            )
            number = batches[name] + {"gap": 2, "ping": 0}.get(kind, 1)
            batches[name] += op is Op.ADD
            if kind in ("gap", "commit"):
                del batches[name]
            name = "nobodys" if kind == "unknown" else name
        lines = fence_header(f"{self.prefix}.market.fences.t", self._last(rng)) if kind == "fenced start" else b""
        payload = b"" if op in (Op.PING, Op.COMMIT) else b"batched %d" % n
        headers = b"NATS/1.0\r\n" + lines + b"\r\n" if lines else b""
        reply = batch_reply(self.inbox, name, self._flow, number, op)
        return Published(self._subject(rng), reply, headers, payload)

    @property
    def _flow(self) -> int:
        return 1 + self.number % 3

    def _last(self, rng: random.Random) -> int:
        # What is expected to be stored last under the fence: nothing, or one of the first messages.
        return rng.choice((0, 0, rng.randint(1, 6)))

    def _subject(self, rng: random.Random) -> str:
        return f"{self.prefix}.market.stocks.{rng.choice(('trades', 'quotes'))}"

    @property
    def subjects(self) -> list[str]:
        """The subjects on which messages are counted."""
        return [f"{self.prefix}.market.stocks.{name}" for name in ("trades", "quotes")]


class Model:
    """Answers a script as the model of JetStream does."""

    def __init__(self, script: Script) -> None:
        self.answers: list[Any] = []
        self._script = script
        config = Config(max_messages=script.max_messages)
        self._server = JetStream(World(), random.Random(0), config, created=True)

    def take(self, step: Published | tuple[str, int]) -> None:
        """Answer one step."""
        if isinstance(step, Published):
            self._server.publish(step, "us", lambda answer: self.answers.append(_comparable(answer)))
            return
        question, seq = step
        if question == "purge":
            self._server.purge()
            return
        subject, request = _question(self._script, question, seq)
        self.answers.append(_comparable(self._server.api(subject, request)))

    def restart(self) -> None:
        """Restart without a loss."""
        self._server.restart(0, 0)


class Real:
    """Answers a script as a real server does, over a connection of its own inbox."""

    def __init__(self, connection: Connection, script: Script) -> None:
        self.answers: list[Any] = []
        self._connection = connection
        self._script = script

    async def open(self) -> Callable[[], Any]:
        """Make the stream, and listen; returns what ends that."""
        config = desired_config(self._script.prefix, batched=True) | {"max_msgs": self._script.max_messages or -1}
        await self._connection.api(f"STREAM.CREATE.{config['name']}", config)
        return await self._connection.subscribe(f"{self._script.inbox}.>", self._on_answer)

    async def take(self, step: Published | tuple[str, int], expected: list[Any]) -> None:
        """Have one step answered, and wait until there are all answers that should be there by now."""
        if isinstance(step, Published):
            await self._connection.write(_frame(step))
            with suppress(AssertionError):
                await eventually(lambda: len(self.answers) >= len(expected), timeout_s=5)
            return
        question, seq = step
        if question == "purge":
            await self._connection.api(f"STREAM.PURGE.{desired_config(self._script.prefix)['name']}")
            return

        async def answered() -> bool:
            # What is not acknowledged at once may not be stored yet.
            answers[:] = [await self._answer(question, seq)]
            return answers[0] == expected[-1]

        answers: list[Any] = []
        with suppress(AssertionError):
            await eventually(answered, timeout_s=2)
        self.answers += answers

    async def _answer(self, question: str, seq: int) -> Any:
        try:
            answer = await self._connection.api(*_question(self._script, question, seq))
        except ApiError as error:
            answer = {"error": {"code": error.code, "err_code": error.err_code}}
        return _comparable(answer)

    async def _on_answer(self, message: Msg) -> None:
        self.answers.append(_comparable(orjson.loads(message.data)))


async def compare(connect: Callable[[], Any], restart: Callable[[], None], numbers: range) -> list[str]:
    """Have scripts answered by the model and by a server; returns what differs."""
    connection = await connect()
    pairs = [(script, Model(script), Real(connection, script)) for script in map(Script.of, numbers)]

    async def run(script: Script, model: Model, real: Real, steps: slice) -> None:
        for step in script.steps[steps]:
            model.take(step)
            await real.take(step, model.answers)

    ends = await asyncio.gather(*(real.open() for _, _, real in pairs))
    await asyncio.gather(*(run(*pair, slice(STEPS // 2)) for pair in pairs))
    await asyncio.to_thread(restart)
    await connection.wait_connected(10)
    for _, model, _ in pairs:
        model.restart()
    await asyncio.gather(*(run(*pair, slice(STEPS // 2, None)) for pair in pairs))
    await connection.jetstream_info()  # answers too many have come before
    for end in ends:
        await end()
    await connection.close()
    return [difference for script, model, real in pairs if (difference := _difference(script, model, real))]


def _difference(script: Script, model: Model, real: Real) -> str:
    for n, (ours, theirs) in enumerate(zip_longest(model.answers, real.answers)):
        if ours != theirs:
            return f"script {script.number}, answer {n}: the model {ours}, the server {theirs}"
    return ""


def _question(script: Script, question: str, seq: int) -> tuple[str, dict[str, Any] | None]:
    name = desired_config(script.prefix)["name"]
    if question == "info":
        return f"STREAM.INFO.{name}", None
    if question in ("get", "at", "last"):
        places: dict[str, dict[str, Any]] = {
            "get": {"seq": seq, "next_by_subj": ">"}, "at": {"seq": seq},
            "last": {"last_by_subj": f"{script.prefix}.market.fences.t"},
        }  # fmt: skip
        return f"STREAM.MSG.GET.{name}", places[question]
    config = {
        "name": f"count-{uuid4().hex}", "deliver_policy": "by_start_sequence", "opt_start_seq": seq,
        "ack_policy": "none", "mem_storage": True, "inactive_threshold": 1_000_000_000,
        "filter_subjects": script.subjects,
    }  # fmt: skip
    return f"CONSUMER.CREATE.{name}.{config['name']}", {"stream_name": name, "config": config}


def _frame(message: Published) -> bytes:
    size = len(message.headers) + len(message.payload)
    head, sizes = (b"HPUB", f"{len(message.headers)} {size}") if message.headers else (b"PUB", f"{size}")
    return b"%b %b %b %b\r\n%b%b\r\n" % (
        head, message.subject.encode(), message.reply.encode(), sizes.encode(), message.headers, message.payload,
    )  # fmt: skip


def _comparable(answer: dict[str, Any]) -> dict[str, Any]:
    # What an answer says that spyctl reads.
    if "error" in answer:
        error = answer["error"]
        return {"type": answer.get("type", ""), "error": (error.get("code"), error.get("err_code"))}
    if "state" in answer:
        state = answer["state"]
        return {key: state.get(key, 0) for key in ("messages", "first_seq", "last_seq", "num_deleted")}
    if "message" in answer:
        return {key: answer["message"].get(key, "") for key in ("seq", "subject", "data")}
    if "num_pending" in answer:
        return {"num_pending": answer["num_pending"]}
    return {key: value for key, value in answer.items() if key not in ("stream", "domain", "val")}
