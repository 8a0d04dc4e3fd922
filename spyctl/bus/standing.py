"""How a connection to NATS stands: up, away and why, or denied what it needs."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import nats.errors

from spyctl.bus.client import DeniedError
from spyctl.errors import AccessDeniedError, NoServerError, NotNatsError, SpyctlError, TlsError, UnreachableError

_STEP_S = 0.5
_ASKED = ("$js.", "$kv.")  # whoever asks there learns of a refusal itself


class Standing:
    """Is told by nats-py what happens to a connection, and tells whoever has to know; ``url`` says where it leads."""

    def __init__(self, url: Callable[[], str]) -> None:
        self.denied: AccessDeniedError | None = None  # what makes the connection useless
        self.last_error: Exception | None = None
        self.closing = False
        self._url = url
        self._up = asyncio.Event()  # also set where waiting is pointless
        self._closed = False
        self._on_disconnect: list[Callable[[], None]] = []
        self._on_refusal: list[Callable[[str], None]] = []
        self._refused = ""  # what was told last of this outage
        self._subscribing: dict[str, AccessDeniedError | None] = {}  # by subject, in lower case

    @property
    def up(self) -> bool:
        """Whether it is up, as far as nats-py has told."""
        return self._up.is_set() and not self._closed and self.denied is None

    @property
    def trouble(self) -> str:
        """Why it is not up, in the server's words where it has any; empty where it is up, or nobody knows."""
        failure = self.denied or self._failure()
        return failure.message if failure is not None and not self.up else ""

    async def wait(self, timeout_s: float) -> None:
        """Wait until it is up; see :meth:`Connection.wait_connected`."""
        left_s = timeout_s
        while not self._up.is_set() and left_s > 0:  # in steps: time in which this process slept is no absence
            with suppress(TimeoutError):
                async with asyncio.timeout(min(_STEP_S, left_s)):
                    await self._up.wait()
            left_s -= _STEP_S
        if self.up:
            return
        if self.denied is not None:
            raise self.denied
        if self._closed:
            raise UnreachableError(f"{self._url()} closed the connection permanently: {self.last_error}")
        kind = AccessDeniedError if isinstance(self._failure(), AccessDeniedError) else UnreachableError
        why = f" ({self.trouble})" if self.trouble else ""
        raise kind(
            f"{self._url()} went away and did not come back within {timeout_s:g} s{why}",
            "start it again, then run the command again",
        )

    def on_disconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have a function called whenever the connection breaks; returns one that ends that."""
        self._on_disconnect.append(callback)
        return lambda: self._on_disconnect.remove(callback)

    def on_refusal(self, callback: Callable[[str], None]) -> None:
        """Have a function called with a sentence whenever a server that is back refuses us."""
        self._on_refusal.append(callback)

    @contextmanager
    def subscribing(self, subject: str) -> Iterator[None]:
        """Take a refusal of a subject for that of the subscription made meanwhile, and raise it at the end."""
        self._subscribing[subject.lower()] = None
        try:
            yield
        finally:
            denied = self._subscribing.pop(subject.lower())
        if denied is not None:
            raise denied

    def refusal(self, error: DeniedError) -> AccessDeniedError:
        """Return our error for a subject that is not permitted."""
        return AccessDeniedError(f"{self._url()} refuses us: {error.words}")

    # --- what nats-py calls

    async def disconnected(self) -> None:
        """Note that the connection broke."""
        self._up.clear()
        self._tell()

    async def reconnected(self) -> None:
        """Note that it is up, for the first time or again."""
        self.last_error, self._refused = None, ""
        self._up.set()

    async def closed(self) -> None:
        """Note that it is closed permanently."""
        self._closed = True
        self._up.set()

    async def failed(self, error: Exception) -> None:
        """Note an error: of an attempt to connect, or of the server."""
        logging.getLogger(__name__).debug("nats: %s", error)
        if not isinstance(error, DeniedError):
            self.last_error = error
            self._tell_refusal()
        elif not error.to_publish and error.subject in self._subscribing:
            self._subscribing[error.subject] = self.refusal(error)
        elif self.denied is None and not (error.to_publish and error.subject.startswith(_ASKED)):
            self.denied = self.refusal(error)
            self._up.set()
            self._tell()

    def _tell(self) -> None:
        if not self.closing:
            for callback in self._on_disconnect:
                callback()

    def _tell_refusal(self) -> None:
        failure = self._failure()
        if isinstance(failure, AccessDeniedError) and failure.message != self._refused:
            self._refused = failure.message
            for callback in self._on_refusal:
                callback(f"{failure.message}; tried again until it lets us in")

    def _failure(self) -> SpyctlError | None:
        return connect_error(self.last_error, self._url()) if self.last_error is not None else None


def connect_error(error: BaseException, shown: str) -> SpyctlError:
    """Return our error for an attempt to connect that failed; ``shown`` is where to."""
    text = str(error).lower()
    if isinstance(error, ssl.SSLError):
        why = getattr(error, "verify_message", "") or error.reason or error
        return TlsError(f"TLS with {shown} failed: {why}")
    if isinstance(error, nats.errors.AuthorizationError) or "authorization" in text:
        return AccessDeniedError(f"{shown} refuses us: authorization violation")
    if "authentication" in text:
        return AccessDeniedError(f"{shown} refuses us: {_words(text)}")
    if isinstance(error, ConnectionRefusedError | nats.errors.NoServersError) or "refused" in text:
        return NoServerError(f"no NATS server answers on {shown}")
    silent = TimeoutError | nats.errors.TimeoutError | nats.errors.ProtocolError | ValueError
    if isinstance(error, silent) or "info message" in text:
        return NotNatsError(f"what answers on {shown} does not speak NATS")
    return UnreachableError(
        f"cannot connect to {shown}: {getattr(error, 'strerror', None) or error or type(error).__name__}",
        "check the address, or start the server",
    )


def _words(text: str) -> str:
    return text.removeprefix("nats: ").strip("'")
