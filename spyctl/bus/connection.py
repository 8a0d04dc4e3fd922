"""A connection to NATS: quiet, with errors translated into ours, and with its own way to write.

nats-py buffers what is published while it is disconnected and sends it after the reconnect, which would send
events twice. So framed messages are written to its transport directly (:meth:`Connection.write`): what a
dead connection has not sent is gone, and the publisher, which knows what was acknowledged, sends it again.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import nats
import nats.errors
import orjson
from nats.aio.client import Client
from nats.js.client import JetStreamContext

from spyctl.bus.access import Access
from spyctl.bus.answers import read_answer
from spyctl.bus.client import DeniedError, StrictClient
from spyctl.bus.standing import Standing, connect_error
from spyctl.errors import (
    NoJetStreamError,
    RefusedError,
    UnreachableError,
)

CONNECT_TIMEOUT_S = 2.0
REQUEST_TIMEOUT_S = 5.0
RECONNECT_WAIT_S = 0.1
WRITE_TIMEOUT_S = 10.0
MIN_PAYLOAD = 16 << 10  # an event takes 1.5 kB at most, a run's record several
_NOT_FOR_ACCOUNT = 10039  # the error code of an account without JetStream
_QUIET_LOGGER = "nats"


class ApiError(Exception):
    """JetStream's own refusal of a request, with its ``err_code``."""

    def __init__(self, code: int, err_code: int, description: str) -> None:
        super().__init__(f"{description} ({err_code})")
        self.code = code
        self.err_code = err_code
        self.description = description


def masked(url: str) -> str:
    """Return a server's URL without user and password."""
    scheme, _, rest = (url if "//" in url else f"nats://{url}").partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('/')[0]}"


class Connection:
    """One client connection; made by :func:`connect`."""

    def __init__(self, client: StrictClient, urls: Sequence[str], *, write_timeout_s: float = WRITE_TIMEOUT_S) -> None:
        self._client = client
        self._urls = tuple(urls)
        self._write_timeout_s = write_timeout_s
        self._standing = Standing(lambda: self.url)

    # --- what the server is

    @property
    def url(self) -> str:
        """The server we are connected to, without credentials."""
        url = self._client.connected_url
        return masked(url.geturl() if url is not None else self._urls[0])

    @property
    def server_version(self) -> str:
        """The version of the server, as ``2.15.1``."""
        return str(self._client._server_info.get("version", "?"))

    def server_at_least(self, major: int, minor: int) -> bool:
        """Tell whether the server is of a version or newer."""
        version = re.match(r"(\d{1,4})\.(\d{1,4})", self.server_version)
        return version is not None and (int(version[1]), int(version[2])) >= (major, minor)

    @property
    def connected(self) -> bool:
        """Whether the connection is up at this moment."""
        return self._standing.up and bool(self._client.is_connected)

    @property
    def trouble(self) -> str:
        """Why the connection is not up, in the server's words where it has any; empty where it is up."""
        return self._standing.trouble

    async def wait_connected(self, timeout_s: float) -> None:
        """Wait until the connection is up; time in which this process slept does not count.

        Raises :class:`UnreachableError` after ``timeout_s``; :class:`AccessDeniedError`, then or at once, where the
        server refuses us, or does not permit what we publish or subscribe.
        """
        await self._standing.wait(timeout_s)

    @property
    def absence(self) -> str:
        """Say of a connection that is not up why: the server is away, or no longer accepts us."""
        return self.trouble or f"{self.url} is away"

    def on_disconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever the connection breaks; returns one that ends that."""
        return self._standing.on_disconnect(callback)

    def on_refusal(self, callback: Callable[[str], None]) -> None:
        """Have a function called with a sentence whenever a server that was away is back and refuses us."""
        self._standing.on_refusal(callback)

    # --- asking

    async def jetstream_info(self) -> dict[str, Any]:
        """Return the account's JetStream limits and usage. Raises :class:`NoJetStreamError`."""
        try:
            return await self.api("INFO")
        except ApiError as error:
            of_account = error.err_code == _NOT_FOR_ACCOUNT
            raise NoJetStreamError(
                f"the NATS server at {self.url} offers no JetStream: {error.description}",
                "enable it for the account, or another account" if of_account else "start it with: nats-server -js",
            ) from None

    async def api(self, subject: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask JetStream's API (``$JS.API.<subject>``) and return the reply as it is.

        Raises :class:`ApiError` where JetStream refuses, :class:`NoJetStreamError` where the server has none, and
        :class:`UnreachableError` where no answer comes in time, :class:`AccessDeniedError` where we may not ask.
        """
        reply = await self.ask(f"$JS.API.{subject}", request)
        if error := reply.get("error"):
            raise ApiError(error.get("code") or 0, error.get("err_code") or 0, error.get("description") or "")
        return reply

    async def ask(self, subject: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask on any subject and return the answer as it is; raises what :meth:`api` does, but no refusal."""
        payload = orjson.dumps(request) if request is not None else b""
        try:
            message = await self._client.request(subject, payload, timeout=REQUEST_TIMEOUT_S)
        except DeniedError as denial:
            raise self._standing.refusal(denial) from None
        except nats.errors.NoRespondersError:
            raise NoJetStreamError(
                f"the NATS server at {self.url} runs without JetStream", "start it with: nats-server -js"
            ) from None
        except (nats.errors.Error, OSError):
            raise UnreachableError(
                f"JetStream at {self.url} did not answer within {REQUEST_TIMEOUT_S:g} s",
                "spyctl server status, or look at the server's log",
            ) from None
        try:
            return read_answer(subject.removeprefix("$JS.API."), message.data)
        except ValueError:
            raise NoJetStreamError(
                f"JetStream at {self.url} answers {subject} with something that makes no sense",
                "look at what answers there, and at the server's log",
            ) from None

    @property
    def client(self) -> Client:
        """nats-py's client, for its micro-services and what else it does better than we would."""
        return self._client

    def jetstream(self) -> JetStreamContext:
        """Return nats-py's JetStream client over this connection, for the KV bucket and for readers."""
        return self._client.jetstream(timeout=REQUEST_TIMEOUT_S)

    async def subscribe(
        self, subject: str, handler: Callable[[Any], Awaitable[None]], *, at_once: bool = False
    ) -> Callable[[], Awaitable[None]]:
        """Call ``handler`` with each message on a subject; returns a function that ends that, and never raises.

        With ``at_once`` it is called as a message comes off the line, with its subject and data; it must not wait.
        Raises :class:`UnreachableError`, :class:`AccessDeniedError`.
        """
        try:
            with self._standing.subscribing(subject):
                subscription = await self._client.subscribe(
                    subject, cb=handler, pending_msgs_limit=0, pending_bytes_limit=0
                )
                await self._client.flush()
        except (nats.errors.Error, OSError) as error:
            raise UnreachableError(f"{self.url} does not take a subscription: {error}") from None

        if at_once:
            self._client.hand_over(subscription, handler)

        async def unsubscribe() -> None:
            self._client.hand_over(subscription, None)
            with suppress(nats.errors.Error, OSError):
                await subscription.unsubscribe()

        return unsubscribe

    def inbox(self) -> str:
        """Make up a subject nobody else listens to."""
        return str(self._client.new_inbox())

    # --- writing

    async def write(self, frames: bytes | memoryview) -> bool:
        """Write whole protocol messages and wait until the socket takes them (back-pressure).

        Returns whether the connection was up before and after; what was written to one that broke is lost.
        """
        transport = self._client._transport
        if not self.connected or transport is None:
            return False
        try:
            transport.write(frames)  # type: ignore[arg-type]
            async with asyncio.timeout(self._write_timeout_s):
                await transport.drain()  # type: ignore[no-untyped-call]
        except TimeoutError:
            # The peer takes nothing: closing would wait for the same, so the socket is dropped.
            writer = getattr(transport, "_io_writer", None)
            if writer is not None:
                writer.transport.abort()
            return False
        except (OSError, RuntimeError, AttributeError):
            return False  # nats-py meets the same error in its read loop and reconnects
        return self.connected

    async def close(self) -> None:
        """Close the connection; never raises."""
        self._standing.closing = True
        self._client._server_pool.clear()  # a reconnect that misses its cancellation would be tried for ever
        try:
            await self._client.close()
        except Exception:  # whatever a dying connection raises, it is gone
            logging.getLogger(__name__).debug("closing failed", exc_info=True)


async def connect(
    urls: Sequence[str],
    *,
    access: Access | None = None,
    timeout_s: float = CONNECT_TIMEOUT_S,
    write_timeout_s: float = WRITE_TIMEOUT_S,
) -> Connection:
    """Connect to one of several servers.

    Once connected, a broken connection is repaired for as long as it takes; whoever waits sets the limit. A server that
    takes nothing for ``write_timeout_s`` is disconnected. Raises
    :class:`UnreachableError` where none answers and :class:`NoJetStreamError` where what answers is not a
    NATS server or refuses us, :class:`RefusedError` where it takes only small messages, :class:`UsageError` for a file
    of ``access`` that cannot be used.
    """
    # A library that logs tracebacks of its own would break the promise of one clear sentence.
    logging.getLogger(_QUIET_LOGGER).addHandler(logging.NullHandler())
    logging.getLogger(_QUIET_LOGGER).propagate = False
    access = access or Access()
    client = StrictClient(access.options)
    options = access.options()
    if any(url.startswith("tls://") for url in urls):
        options.setdefault("tls", ssl.create_default_context())
    connection = Connection(client, urls, write_timeout_s=write_timeout_s)
    standing = connection._standing
    shown = ", ".join(map(masked, urls))
    try:
        async with asyncio.timeout(timeout_s * len(urls) + 1):
            await client.connect(
                list(urls),
                name="spyctl",
                error_cb=standing.failed,
                disconnected_cb=standing.disconnected,
                reconnected_cb=standing.reconnected,
                connect_timeout=timeout_s,  # type: ignore[arg-type]
                reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]
                closed_cb=standing.closed,
                max_reconnect_attempts=1,
                ping_interval=5,
                max_outstanding_pings=2,
                **options,
            )
    except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
        failure: BaseException = standing.last_error or error
        if isinstance(failure, ConnectionResetError) and client._server_info.get("auth_required"):
            failure = nats.errors.AuthorizationError()  # the server hung up before its reason was read
        await connection.close()
        raise connect_error(failure, shown) from None
    if "tls" in options and not {"tls_required", "tls_available"} & {k for k, on in client._server_info.items() if on}:
        await connection.close()
        raise NoJetStreamError(f"the server at {shown} does not speak TLS", "nats://…, if clear text is what you want")
    if client.max_payload < MIN_PAYLOAD:
        await connection.close()
        raise RefusedError(
            f"the server at {shown} takes messages of {client.max_payload:,} bytes at most, {MIN_PAYLOAD:,} are needed",
            "raise max_payload in its configuration",
        )
    client.options["max_reconnect_attempts"] = -1  # only the first attempt may fail
    await standing.reconnected()
    return connection
