"""One market's WebSocket at Massive (Polygon), kept up: connection, authentication, subscriptions, and nothing else.

The vendor's client library is the transport alone: raw frames, a fresh client for each connection, no reconnecting
of its own (it does that without a pause, may lose the subscriptions, and takes a clean close for the end of its
work). The set of *desired* topics is the truth; it is what each new connection subscribes, and what the server's
acknowledgements are compared with. Protocol: https://massive.com/docs/websocket/quickstart.
"""

import asyncio
import json
import logging
import random
import ssl
import time
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

import certifi

from spyctl.errors import KeyRefusedError, UsageError
from spyctl.timing.instants import SECOND
from spyctl.timing.tasks import end_task

FEED_URL, DELAYED_URL = "wss://socket.massive.com", "wss://delayed.massive.com"
LIBRARIES = ("polygon", "massive")  # the same code under two names
MAX_FRAME = 16 << 20
_SUBSCRIBED, _UNSUBSCRIBED = "subscribed to: ", "unsubscribed to: "
_EVICTIONS_WITHIN_S = 600.0
_CLOSE_S = 2.0
_DOUBT_S = 1.0
_POLICY = 1008
_FAREWELLS = ("slow_consumer", "force_disconnect")
_PORTS = {"wss": 443, "ws": 80}
_UPGRADE = (
    "GET /{market} HTTP/1.1\r\nHost: {where}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_ASLEEP_NS = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take, in seconds.

    ``first_wait`` doubles up to ``longest_wait`` between attempts and starts anew after ``stable`` seconds of
    streaming; ``cool_down`` follows an eviction; a key refused after it was good is tried for ``refusals`` more.
    """

    authenticate: float = 10.0
    acknowledge: float = 5.0
    ask_again: float = 60.0
    first_wait: float = 1.0
    longest_wait: float = 60.0
    stable: float = 10.0
    cool_down: float = 60.0
    max_evictions: int = 3
    refusals: float = 300.0
    ping: float = 10.0


class Watcher(Protocol):
    """Who is told what happens on a feed; none of these may block or raise."""

    def frame(self, feed: "Feed", frame: str | bytes, ts_recv_ns: int) -> None:
        """Take a frame; ``ts_recv_ns`` is when it arrived."""

    def lost(self, feed: "Feed", from_ns: int, reason: str) -> None:
        """Note that nothing arrives any more since ``from_ns``."""

    def back(self, feed: "Feed", to_ns: int) -> None:
        """Note that what was lost arrives again."""

    def note(self, feed: "Feed", text: str) -> None:
        """Note what somebody should look at."""


class _NotAuthenticatedError(Exception):
    pass


class Feed:
    """The supervised connection of one market, ``stocks`` or ``options``.

    :meth:`run` keeps it up until :meth:`stop`; statuses that arrive among the frames are handed back to
    :meth:`status` by whoever parses them.
    """

    def __init__(
        self,
        market: str,
        api_key: str,
        watcher: Watcher,
        *,
        url: str = FEED_URL,
        timing: Timing | None = None,
        library: str | None = None,
    ) -> None:
        self.market = market
        self.state = "connecting"
        self.desired: frozenset[str] = frozenset()
        self.held: set[str] = set()
        self.missing: frozenset[str] = frozenset()
        self.connections = 0
        self.reconnects = 0
        self.last_frame_ns = 0  # Unix
        self.last_frame_s = 0.0  # monotonic
        self.up_since_s = 0.0
        self.words = ""
        self._api_key = api_key
        self._watcher = watcher
        self._url = url
        self._timing = timing or Timing()
        self._library = library
        self._client: Any = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._broken = ""
        self._authenticated = False
        self._lost = False
        self._begun_ns = self._alive_ns = self._noticed_ns = time.time_ns()
        self._slept_ns = 0
        self._surplus_s = 0.0
        self._evictions: deque[float] = deque(maxlen=self._timing.max_evictions)
        self._first_refusal_s: float | None = None

    # --- from outside

    @property
    def never_let_in(self) -> bool:
        """Whether the key was refused from the start: the plan has no such feed."""
        return self.state == "refused" and not self.up_since_s

    def set_desired(self, topics: Collection[str]) -> None:
        """Change what is subscribed, now or as soon as there is a connection."""
        wanted = frozenset(topics)
        add, remove = wanted - self.desired, self.desired - wanted
        self.desired = wanted
        if self._client is not None and (add or remove):
            if add:
                self._client.subscribe(*sorted(add))
            if remove:
                self._client.unsubscribe(*sorted(remove))
            self._wake.set()

    def reconnect(self, reason: str) -> None:
        """Drop the connection and make a new one."""
        self._broken = self._broken or reason
        self._wake.set()

    def stop(self) -> None:
        """End :meth:`run`."""
        self._stopping = True
        self._wake.set()

    def status(self, status: str, message: str) -> None:
        """Take a status that arrived among the frames."""
        if message.startswith(_SUBSCRIBED):
            self.held.add(message.removeprefix(_SUBSCRIBED).strip())
        elif message.startswith(_UNSUBSCRIBED):
            self.held.discard(message.removeprefix(_UNSUBSCRIBED).strip())
        elif status == "max_connections":
            self._evicted(message)
        elif status not in ("connected", "auth_success", "success"):
            self.words = message or status
            self._watcher.note(self, f"{self.market}: {status}: {message}")
            if status in _FAREWELLS:
                self.reconnect(status)  # the close that follows says less, or something else
        self._check_found()
        self._wake.set()

    def _evicted(self, message: str) -> None:
        self.words = message
        self._evictions.append(time.monotonic())
        self.reconnect("max_connections")
        # After a crash the old connection may still be counted, so the first time is no alarm yet.
        alarm = "another process uses this key" if self._recent_evictions() > 1 else "this key had a connection already"
        self._watcher.note(self, f"{self.market}: {alarm} ({message.strip()})")

    def _recent_evictions(self) -> int:
        return sum(time.monotonic() - s < _EVICTIONS_WITHIN_S for s in self._evictions)

    # --- the supervisor

    async def run(self) -> None:
        """Keep the feed up until :meth:`stop`.

        Raises :class:`KeyRefusedError` where the key is refused, for good.
        """
        wait_s = self._timing.first_wait
        self._alive_ns = self._begun_ns = time.time_ns()
        while not self._stopping:
            begun_s = time.monotonic()
            was_up = False
            try:
                await self._connect_once()
            finally:
                was_up = self._authenticated
                self._authenticated = False
                self.held.clear()
            if self._stopping:
                break
            self.missing = frozenset()
            self._lose(self._broken)
            self.reconnects += 1
            self.state = "reconnecting"
            if was_up and time.monotonic() - begun_s >= self._timing.stable:
                wait_s = self._timing.first_wait
            pause_s = wait_s * random.uniform(0.75, 1.25)
            wait_s = min(self._timing.longest_wait, 2 * wait_s)
            if self._broken == "max_connections":
                pause_s = self._cool_down()
            self._watcher.note(self, f"{self.market}: {self._broken}; connecting again in {pause_s:.1f} s")
            self._broken = ""
            await self._pause(pause_s)
        self.state = "stopped"

    def _cool_down(self) -> float:
        times = self._recent_evictions()
        if times >= self._timing.max_evictions:
            raise KeyRefusedError(
                f"another process with this key took over the {self.market} feed {times} times: {self.words}",
                "end the other one; a key has one connection a market",
            )
        return self._timing.cool_down

    async def _pause(self, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                while not self._stopping:
                    self._wake.clear()
                    await self._wake.wait()

    async def _connect_once(self) -> None:
        # One connection from its beginning to its end; leaves in _broken why it ended.
        client = self._client = self._new_client()
        self.connections += 1
        options: dict[str, Any] = {
            "ping_interval": self._timing.ping, "ping_timeout": self._timing.ping, "max_size": MAX_FRAME,
        }  # fmt: skip
        if _is_loopback(self._url):
            options["proxy"] = None
        task = asyncio.create_task(client.connect(self._received, **options))
        task.add_done_callback(lambda _: self._wake.set())
        deadline_s = time.monotonic() + self._timing.authenticate
        watch = asyncio.create_task(self._watch_topics())
        doubt = asyncio.create_task(self._look_for_server(client))
        try:
            while not (task.done() or self._stopping or self._broken):
                left_s = None if self._authenticated else deadline_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    self._broken = "no authentication in time"
                    break
                self._wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(left_s):
                        await self._wake.wait()
            self._noticed_ns = time.time_ns()
            if task.done() and not self._broken:
                self._broken = self._why(task)
        finally:
            self._client = None
            await end_task(watch)
            await end_task(doubt)
            closing = asyncio.create_task(client.close())
            await asyncio.wait({closing}, timeout=_CLOSE_S)
            await end_task(closing)
            await end_task(task)

    async def _look_for_server(self, client: Any) -> None:
        # The library tries for ever where nothing listens, and does not say so.
        await asyncio.sleep(min(_DOUBT_S, self._timing.authenticate / 4))
        if client.websocket is not None or getproxies():
            return
        parts = urlsplit(self._url)
        where = parts.netloc
        tls = ssl.create_default_context(cafile=certifi.where()) if parts.scheme == "wss" else None
        ask = _UPGRADE.format(market=self.market, where=where).encode()
        try:
            async with asyncio.timeout(self._timing.authenticate):
                port = parts.port or _PORTS[parts.scheme]
                reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
                writer.write(ask)
                answer = (await reader.readline()).split()
                writer.close()
            if len(answer) > 1 and answer[0].startswith(b"HTTP/") and answer[1] != b"101":
                self.reconnect(f"{where} answers HTTP {answer[1].decode('ascii', 'replace')}")
        except TimeoutError:
            pass  # the deadline of the authentication says so
        except ssl.SSLCertVerificationError as error:
            self.reconnect(f"the certificate of {where} is not trusted: {error.verify_message}")
        except ssl.SSLError as error:
            self.reconnect(f"TLS with {where} failed: {error.reason}")
        except ConnectionRefusedError:
            self.reconnect(f"{where} refuses the connection")
        except OSError as error:
            self.reconnect(f"{where} cannot be reached ({error.strerror or type(error).__name__})")

    def _why(self, task: "asyncio.Task[Any]") -> str:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return "closed by the server"
        if type(error).__name__ == "AuthError":
            return self._refused(str(error))
        if isinstance(error, _NotAuthenticatedError):
            return str(error)
        received = getattr(error, "rcvd", None)
        code = getattr(received, "code", None)
        if code == _POLICY and self._broken != "max_connections":  # how the vendor ends a connection too many
            self._evicted(getattr(received, "reason", "") or "closed with 1008")
            return "max_connections"
        return f"closed with {code}" if code is not None else f"connection lost ({type(error).__name__})"

    def _refused(self, words: str) -> str:
        # Fatal at once for a key that was never good; the vendor has been seen to refuse good ones for minutes.
        self.words = words
        now_s = time.monotonic()
        if self._first_refusal_s is None:
            self._first_refusal_s = now_s
        if not self.up_since_s or now_s - self._first_refusal_s >= self._timing.refusals:
            self.state = "refused"
            raise KeyRefusedError(
                f"the {self.market} feed refuses the key: {words}", "spyctl probe tells what the key is good for"
            )
        return "auth_failed"

    # --- one connection

    def _new_client(self) -> Any:
        parts = urlsplit(self._url)
        return client_class(self._library)(
            api_key=self._api_key, feed=parts.netloc, market=self.market, raw=True, max_reconnects=0,
            secure=parts.scheme == "wss", subscriptions=sorted(self.desired), custom_json=self,
        )  # fmt: skip

    def dumps(self, message: Any) -> str:
        """Write a control message; the client asks for it."""
        return json.dumps(message)

    def loads(self, text: str | bytes) -> Any:
        """Read the answer to the authentication; the client asks for it, and this is the one place that sees it.

        ``massive`` has the hello read as well; ``polygon`` has not.
        """
        try:
            found = json.loads(text)
        except ValueError:
            raise _NotAuthenticatedError("an answer to the authentication that is no JSON") from None
        greeted = False
        items = found if isinstance(found, list) else [found]
        for item in items:  # being evicted may be told beside a success
            if isinstance(item, dict) and item.get("status") == "max_connections":
                self._evicted(str(item.get("message", "")))
                raise _NotAuthenticatedError("max_connections")
        for item in items:
            status = item.get("status") if isinstance(item, dict) else None
            message = str(item.get("message", "")) if isinstance(item, dict) else ""
            if status == "auth_success":
                self._up()
                return [item]
            if status == "auth_failed":
                return [{"status": status, "message": message}]
            greeted = greeted or status == "connected"
        if greeted:
            return found
        raise _NotAuthenticatedError("no authentication")

    def _up(self) -> None:
        self._authenticated = True
        self._first_refusal_s = None
        self._slept_ns = 0
        self.state = "up"
        self.up_since_s = self.last_frame_s = time.monotonic()
        self._wake.set()

    async def _received(self, frame: str | bytes) -> None:
        self.last_frame_ns, self.last_frame_s = time.time_ns(), time.monotonic()
        self._watcher.frame(self, frame, self.last_frame_ns)

    async def _watch_topics(self) -> None:
        # What the server does not acknowledge is asked for once more, then reported, and asked for now and then.
        asked_s: dict[str, float] = {}
        times: dict[str, int] = {}
        self._alive_ns = time.time_ns()  # what was before this connection is no sleep
        while True:
            await asyncio.sleep(self._timing.acknowledge / 10)
            now_ns = time.time_ns()
            if now_ns - self._alive_ns > _ASLEEP_NS:  # this process was stopped, or the machine slept
                self._slept_ns = self._alive_ns
            self._alive_ns = now_ns
            if not self._authenticated:
                continue
            now_s = time.monotonic()
            waiting = self.desired - self.held
            asked_s = {topic: asked_s.get(topic, now_s) for topic in waiting}
            times = {topic: times.get(topic, 0) for topic in waiting}
            again = []
            for topic, asked in asked_s.items():
                patience = self._timing.acknowledge if times[topic] < 2 else self._timing.ask_again
                if now_s - asked > patience:
                    asked_s[topic] = now_s
                    times[topic] += 1
                    again.append(topic)
            missing = frozenset(topic for topic in waiting if times[topic] >= 2)
            if new := missing - self.missing:
                some = ", ".join(sorted(new)[:5])
                self._watcher.note(self, f"{self.market}: {len(missing)} not acknowledged: {some}")
            self.missing = missing
            self._ask_again(again)
            self._let_go(now_s)
            self._check_found()

    def _let_go(self, now_s: float) -> None:
        # An unsubscribe that the server did not acknowledge is said again.
        surplus = self.held - self.desired
        if not surplus:
            self._surplus_s = now_s
        elif now_s - self._surplus_s > self._timing.acknowledge and self._client is not None:
            self._surplus_s = now_s
            self._client.subs |= surplus  # or the client would not ask for what it holds to be gone
            self._client.unsubscribe(*sorted(surplus))

    def _ask_again(self, topics: Collection[str]) -> None:
        client = self._client
        if client is not None and topics:
            client.subs.difference_update(topics)
            client.schedule_resub = True

    # --- gaps

    def _lose(self, reason: str) -> None:
        # A quiet connection was alive when its last ping was answered; before the first one nothing was.
        if self._lost:
            return
        self._lost = True
        alive_ns = self._begun_ns
        if self.up_since_s:
            alive_ns = min(self._noticed_ns - round(2 * self._timing.ping * SECOND), self._slept_ns or self._noticed_ns)
        self._watcher.lost(self, max(self.last_frame_ns, alive_ns), reason)

    def _check_found(self) -> None:
        if self._lost and self._authenticated and self.desired - self.missing <= self.held:
            self._lost = False
            self._watcher.back(self, time.time_ns())


def client_class(library: str | None = None) -> Any:
    """Import the client library, under whichever of its names it is installed, and silence it.

    Raises :class:`UsageError` where there is none.
    """
    for name in (library,) if library else LIBRARIES:
        try:
            found = import_module(f"{name}.websocket").WebSocketClient
        except ModuleNotFoundError:
            continue
        # It prints to stdout, and at debug level websockets prints the key.
        for logger in ("WebSocketClient", "RESTClient"):
            logging.getLogger(logger).handlers.clear()
            logging.getLogger(logger).addHandler(logging.NullHandler())
            logging.getLogger(logger).propagate = False
        logging.getLogger("websockets").setLevel(logging.INFO)
        return found
    raise UsageError("the feed's client library is not installed", "pip install polygon-api-client")


def _is_loopback(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("127.0.0.1", "localhost", "::1")
