"""nats-py's client, for runs that last: strict about what a server says, fresh credentials, refusals told at once.

nats-py ends a connection for good where a server refuses it later on, reads passwords and certificates once, and leaves
a request that is not permitted waiting for its timeout.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple, cast

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from spyctl.bus.answers import is_info
from spyctl.bus.arrivals import Arrivals, is_status
from spyctl.errors import SpyctlError
from spyctl.timing.tasks import end_task

_DENIAL = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]+)\"")
_RENEWED = ("user", "password", "token", "tls")


class Answer(NamedTuple):
    """A message without a header, as :meth:`StrictClient.hand_over` gives it: the two things that an answer needs."""

    subject: str
    data: bytes


class DeniedError(nats.errors.Error):
    """The server does not permit a subject: ``words`` are its own (in lower case, as nats-py hands them on)."""

    def __init__(self, words: str, subject: str, *, to_publish: bool) -> None:
        super().__init__(words)
        self.words = words
        self.subject = subject
        self.to_publish = to_publish


class StrictClient(Client):
    """Takes no INFO whose fields are of other types, and goes on trying whatever a server says once it was connected.

    ``access`` returns the options with which to authenticate, anew for each connection; it may raise
    :class:`SpyctlError`.
    """

    def __init__(self, access: Callable[[], dict[str, Any]] = dict) -> None:
        super().__init__()
        self._access = access
        self._asking: dict[asyncio.Future[DeniedError], str] = {}  # who waits for an answer, and from which subject
        self._deaf: DeniedError | None = None  # why no answer can be received
        self._handlers: dict[int, Callable[[Any], Awaitable[None]]] = {}  # by the number of a subscription

    async def request(self, subject: str, *arguments: Any, **options: Any) -> Msg:
        """Ask, as nats-py's client does; raises :class:`DeniedError` at once where that is not permitted."""
        if self._deaf is not None:
            raise self._deaf
        denied: asyncio.Future[DeniedError] = asyncio.get_running_loop().create_future()
        self._asking[denied] = subject.lower()
        answer = asyncio.ensure_future(super().request(subject, *arguments, **options))
        try:
            await asyncio.wait([answer, cast("asyncio.Future[Any]", denied)], return_when=asyncio.FIRST_COMPLETED)
            if denied.done() and not answer.done():
                raise denied.result()
            return answer.result()
        finally:
            del self._asking[denied]
            denied.cancel()
            with suppress(nats.errors.Error, OSError):
                await end_task(answer)

    async def flush(self, *arguments: Any, **options: Any) -> None:
        """Wait until the server has taken all that was sent so far (nats-py's PING overtakes what it still holds)."""
        await self._flush_pending(force_flush=True)
        await super().flush(*arguments, **options)

    def hand_over(self, subscription: Any, handler: Callable[[Answer], Awaitable[None]] | None) -> None:
        """Call a handler with each message as it comes off the line; it must not wait. ``None`` ends that.

        nats-py makes an object of each, queues it and wakes a task, at three times the cost. Messages with a header
        still take that way.
        """
        if handler is None:
            self._handlers.pop(subscription._id, None)
        else:
            self._handlers[subscription._id] = handler

    # --- what nats-py does otherwise

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        if (handler := self._handlers.get(sid)) is not None and not headers:
            try:
                await handler(Answer(subject.decode(), data))
            except Exception as error:
                await self._error_cb(error)
            return
        subscription = self._subs.get(sid)
        arrivals = subscription._pending_queue if subscription is not None else None
        if not isinstance(arrivals, Arrivals) or is_status(headers):
            await super()._process_msg(sid, subject, reply, data, headers)  # type: ignore[arg-type]
            return
        consumer = subscription._jsi
        if not arrivals.append(consumer, subject, reply, data, headers or b""):
            await consumer.reset_ordered_consumer(consumer._sseq + 1)

    async def _process_connect_init(self) -> None:
        try:
            self._renew()
            self._deaf = None
            await super()._process_connect_init()
        except (nats.errors.Error, OSError, TimeoutError):
            raise
        except SpyctlError as error:
            raise nats.errors.Error(error.message) from None
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise nats.errors.ProtocolError from None

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002
        if not is_info(info):
            raise nats.errors.ProtocolError
        await super()._process_info(info, initial_connection)

    async def _process_err(self, err_msg: str) -> None:
        if denial := _DENIAL.search(err_msg):
            error = DeniedError(err_msg.strip("'"), denial[2], to_publish=denial[1] == "publish")
            self._deny(error)
            await self._error_cb(error)
        elif self.is_connected:
            await self._error_cb(nats.errors.Error(f"nats: {err_msg}"))
            await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))
        else:
            await super()._process_err(err_msg)

    def _renew(self) -> None:
        fresh = self._access()
        self.options.update({key: fresh[key] for key in _RENEWED if key in fresh})
        self._user_jwt_cb = fresh.get("user_jwt_cb", self._user_jwt_cb)
        self._signature_cb = fresh.get("signature_cb", self._signature_cb)
        if self._nkeys_seed is not None:
            self._setup_nkeys_connect()

    def _deny(self, error: DeniedError) -> None:
        if not error.to_publish and error.subject.startswith(self._inbox_prefix.decode().lower()):
            self._deaf = error
        for waiting, subject in self._asking.items():
            if not waiting.done() and (self._deaf is not None or (error.to_publish and subject == error.subject)):
                waiting.set_result(error)
