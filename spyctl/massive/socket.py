"""One connection to one market's WebSocket at Massive (Polygon), over the vendor's client library.

The library is the transport alone: raw frames, a fresh client for each connection, no reconnecting of its own (it does
that without a pause, may lose the subscriptions, and takes a clean close for the end of its work). All knowledge about
the library is in this file. Protocol: https://massive.com/docs/websocket/quickstart.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit

import certifi

from spyctl.errors import UsageError
from spyctl.massive.proxies import proxy_of
from spyctl.timing.tasks import end_task

LIBRARIES = ("polygon", "massive")  # the same code under two names
MAX_FRAME = 16 << 20
_CLOSE_S = 2.0
_AT_ONCE = 256  # frames
_DOUBT_S = 1.0  # without a connection, until the reason is looked for
_PORTS = {"wss": 443, "ws": 80}
_UPGRADE = (
    "GET /{market} HTTP/1.1\r\nHost: {where}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

Receive = Callable[[str | bytes], bool]


@dataclass(frozen=True, slots=True)
class SocketRequest:
    """What to connect to: the server's URL, its market, the key, and the topics to begin with.

    ``ping_s`` is how often the server must answer a ping; ``connect_s`` bounds the look at a server that does not
    answer. ``library`` names the client library, ``None`` for whichever is installed.
    """

    url: str
    market: str
    api_key: str = field(repr=False)
    topics: Collection[str]
    ping_s: float
    connect_s: float
    library: str | None = None


@dataclass(frozen=True, slots=True)
class SocketEnd:
    """Why a connection ended; ``code`` and ``message`` are those of the close frame, where there was one."""

    reason: str
    code: int | None = None
    message: str = ""


class Socket(Protocol):
    """A connection that has not begun, or goes on, or has ended."""

    async def run(self, receive: Receive) -> SocketEnd:
        """Connect, authenticate, subscribe, and hand on every frame from the answer to the key on.

        The library ``massive`` hands on the greeting before it too. Ends with the connection, or when ``receive``
        returns false.
        """
        ...

    def subscribe(self, topics: Collection[str]) -> None:
        """Subscribe to topics."""

    def unsubscribe(self, topics: Collection[str]) -> None:
        """Unsubscribe from topics."""

    def repeat(self, subscribe: Collection[str], unsubscribe: Collection[str]) -> None:
        """Say again what the server has not acknowledged."""

    async def close(self) -> None:
        """Close the connection; never raises."""


class _EndedError(Exception):
    """Whoever received a frame wants no more."""


class _Codec:
    # The library's JSON codec, which it lets be replaced: the one place that sees the answer to the key.
    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    def dumps(self, message: Any) -> str:
        return json.dumps(message)

    def loads(self, text: str | bytes) -> Any:
        if not self._receive(text):
            raise _EndedError
        return [{"status": "handed on"}]


class VendorSocket:
    """A connection made by the vendor's client."""

    def __init__(self, request: SocketRequest) -> None:
        self._request = request
        self._client: Any = None
        self._doubt = ""

    async def run(self, receive: Receive) -> SocketEnd:
        """Connect and hand on frames; see :meth:`Socket.run`."""
        client = self._client = self._new_client(receive)

        async def process(frame: str | bytes) -> None:
            if not receive(frame):
                raise _EndedError
            for more in _buffered(client.websocket):
                if not receive(more):
                    raise _EndedError

        options: dict[str, Any] = {
            "ping_interval": self._request.ping_s, "ping_timeout": self._request.ping_s, "max_size": MAX_FRAME,
            "proxy": proxy_of(self._request.url),
        }  # fmt: skip
        connection = asyncio.create_task(client.connect(process, **options))
        doubt = asyncio.create_task(self._look_for_server())
        try:
            await asyncio.wait({connection, doubt}, return_when=asyncio.FIRST_COMPLETED)
            if doubt.done() and (why := doubt.result()):
                return SocketEnd(why)
            await asyncio.wait({connection})
            return _end_of(connection)
        finally:
            await end_task(doubt)
            await self.close()
            await end_task(connection)

    def subscribe(self, topics: Collection[str]) -> None:
        """Subscribe to topics."""
        if self._client is not None and topics:
            self._client.subscribe(*sorted(topics))

    def unsubscribe(self, topics: Collection[str]) -> None:
        """Unsubscribe from topics."""
        if self._client is not None and topics:
            self._client.unsubscribe(*sorted(topics))

    def repeat(self, subscribe: Collection[str], unsubscribe: Collection[str]) -> None:
        """Say again what the server has not acknowledged."""
        client = self._client
        if client is None:
            return
        if subscribe:
            client.subs.difference_update(subscribe)
            client.schedule_resub = True
        if unsubscribe:
            client.subs |= set(unsubscribe)  # or the client would not unsubscribe from what it believes gone
            client.unsubscribe(*sorted(unsubscribe))

    async def close(self) -> None:
        """Close the connection; never raises."""
        client, self._client = self._client, None
        if client is not None:
            closing = asyncio.create_task(client.close())
            await asyncio.wait({closing}, timeout=_CLOSE_S)
            await end_task(closing)

    def _new_client(self, receive: Receive) -> Any:
        request, parts = self._request, urlsplit(self._request.url)
        return client_class(request.library)(
            api_key=request.api_key, feed=parts.netloc, market=request.market, raw=True, max_reconnects=0,
            secure=parts.scheme == "wss", subscriptions=sorted(request.topics), custom_json=_Codec(receive),
        )  # fmt: skip

    async def _look_for_server(self) -> str:
        # The library retries endlessly, in silence, where nothing listens; empty where all seems well.
        await asyncio.sleep(min(_DOUBT_S, self._request.connect_s / 4))
        if getattr(self._client, "websocket", None) is not None or proxy_of(self._request.url):
            return ""
        return await why_unreachable(self._request)


def _tls_context() -> ssl.SSLContext:
    # Takes 40 ms, much longer on a busy machine: in a thread, or the other feeds stand still meanwhile.
    return ssl.create_default_context(cafile=certifi.where())


async def why_unreachable(request: SocketRequest) -> str:
    """Say why a server cannot be connected to; empty where it takes a connection, or says nothing in time."""
    parts = urlsplit(request.url)
    where = parts.netloc
    try:
        async with asyncio.timeout(request.connect_s):
            tls = await asyncio.to_thread(_tls_context) if parts.scheme == "wss" else None
            port = parts.port or _PORTS[parts.scheme]
            reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
            writer.write(_UPGRADE.format(market=request.market, where=where).encode())
            answer = (await reader.readline()).split()
            writer.close()
    except TimeoutError:
        return ""
    except ssl.SSLCertVerificationError as error:
        return f"the certificate of {where} is not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        return f"TLS with {where} failed: {error.reason}"
    except ConnectionRefusedError:
        return f"{where} refuses the connection"
    except OSError as error:
        return f"{where} cannot be reached ({error.strerror or type(error).__name__})"
    except ValueError:  # a line without an end
        return f"{where} does not speak HTTP"
    if len(answer) > 1 and answer[0].startswith(b"HTTP/") and answer[1] != b"101":
        return f"{where} answers HTTP {answer[1].decode('ascii', 'replace')}"
    return ""


def client_class(library: str | None = None) -> Any:
    """Import the client library, under whichever of its names it is installed, and silence it.

    Raises :class:`UsageError` where there is none.
    """
    for name in (library,) if library else LIBRARIES:
        try:
            client = import_module(f"{name}.websocket").WebSocketClient
        except ModuleNotFoundError:
            continue
        # It prints to stdout, and at debug level websockets prints the key.
        for logger in ("WebSocketClient", "RESTClient"):
            logging.getLogger(logger).handlers.clear()
            logging.getLogger(logger).addHandler(logging.NullHandler())
            logging.getLogger(logger).propagate = False
        logging.getLogger("websockets").setLevel(logging.INFO)
        return client
    raise UsageError("the feed's client library is not installed", "pip install polygon-api-client")


def _end_of(connection: "asyncio.Task[Any]") -> SocketEnd:
    error = None if connection.cancelled() else connection.exception()
    if error is None or isinstance(error, _EndedError):
        return SocketEnd("closed by the server")
    received = getattr(error, "rcvd", None)
    code = getattr(received, "code", None)
    if code is not None:
        return SocketEnd(f"closed with {code}", code, getattr(received, "reason", "") or "")
    return SocketEnd(f"connection lost ({type(error).__name__})")


def _buffered(connection: Any) -> Iterator[str | bytes]:
    # What the connection has received already. The library takes a frame at a time, with a task for each: on a busy
    # loop every frame would wait for all that the loop has to do, twice.
    for _ in range(_AT_ONCE):
        receiving = connection.recv()
        try:
            receiving.send(None)
        except StopIteration as received:
            if received.value:  # as the library passes over empty frames
                yield received.value
            continue
        except Exception:  # it has ended, which the library finds too
            return
        with suppress(asyncio.CancelledError):
            receiving.throw(asyncio.CancelledError())  # there is none; what is half there stays there
        return
