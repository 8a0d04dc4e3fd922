"""The remote control of a running replay: a NATS micro-service, one instance a run.

A request is a command in words, as ``nats req spyctl.ctl.3kq7 'seek 09:30'`` sends it; the answer is the state of the
run as JSON, or an error of the micro-service protocol (ADR-32 of the NATS architecture decisions) whose data is
``{"error", "remedy", "code"}``. Whoever may publish to ``spyctl.ctl.>`` may control.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import nats.errors
import orjson
from nats.micro import add_service
from nats.micro.request import ERROR_CODE_HEADER, Request

from spyctl.bus.connection import Connection
from spyctl.errors import ControlError, NoSuchRunError, SpyctlError, UnreachableError

SERVICE = "spyctl-replay"
CONTROL = "spyctl.ctl"
_LONGEST = 1_000  # bytes of a command
_GATHER_S = 0.25
ANSWER_S = 10.0

Obey = Callable[[str], Awaitable[Mapping[str, Any]]]


@asynccontextmanager
async def controlled(
    connection: Connection, run_id: str, version: str, about: Mapping[str, str], obey: Obey
) -> AsyncIterator[None]:
    """Serve the control of a run meanwhile; ``about`` tells of it to whoever lists the services.

    Commands that take long do not hold up those behind them. Where the server does not let us, there is no control, and
    the run goes on.
    """
    answering: set[asyncio.Task[None]] = set()

    async def handle(request: Request) -> None:
        task = asyncio.create_task(_answer(request, obey))
        answering.add(task)
        task.add_done_callback(answering.discard)

    service = None
    with suppress(nats.errors.Error, OSError):
        service = await add_service(
            connection.client, name=SERVICE, version=version, description="control of a replay",
            metadata={"run_id": run_id, **about},
        )  # fmt: skip
        await service.add_endpoint(name="control", subject=f"{CONTROL}.{run_id}", handler=handle)
    try:
        yield
    finally:
        if answering:
            await asyncio.wait(answering, timeout=1.0)  # who asked to stop hears of it
        if service is not None:
            with suppress(nats.errors.Error, OSError):
                await service.stop()


async def _answer(request: Request, obey: Obey) -> None:
    try:
        if len(request.data) > _LONGEST:
            raise ControlError(f"a command of {len(request.data):,} bytes is too long", "such as pause, or seek 09:30")
        reply = orjson.dumps(await obey(request.data.decode("utf-8", "replace")))
        with suppress(ValueError, nats.errors.Error, OSError):
            await request.respond(reply)
    except SpyctlError as error:
        data = orjson.dumps({"error": error.message, "remedy": error.remedy, "code": error.exit_code})
        with suppress(ValueError, nats.errors.Error, OSError):
            await request.respond_error(str(int(error.exit_code)), error.message[:200], data)


async def controllable(connection: Connection) -> list[dict[str, str]]:
    """List the runs that can be controlled, as what they tell of themselves. Raises :class:`UnreachableError`."""
    found: dict[str, dict[str, str]] = {}
    more = asyncio.Event()

    async def on_info(message: Any) -> None:
        with suppress(ValueError, KeyError, TypeError):
            metadata = orjson.loads(message.data)["metadata"]
            found[str(metadata["run_id"])] = {str(key): str(value) for key, value in metadata.items()}
        more.set()

    inbox = connection.inbox()
    unsubscribe = await connection.subscribe(inbox, on_info)
    try:
        await connection.write(f"PUB $SRV.INFO.{SERVICE} {inbox} 0\r\n\r\n".encode())
        while True:
            more.clear()
            try:
                async with asyncio.timeout(_GATHER_S):
                    await more.wait()
            except TimeoutError:
                return [found[run_id] for run_id in sorted(found)]
    finally:
        await unsubscribe()


def unanswered(run_id: str, timeout_s: float, why: str = "") -> UnreachableError:
    """Return the error for a run that has not answered; ``why`` is what is known of the reason."""
    told = f"run {run_id} has not answered within {timeout_s:g} s{why}"
    return UnreachableError(told, "spyctl ctl status tells what it waits for")


async def command(connection: Connection, run_id: str, words: str, timeout_s: float = ANSWER_S) -> dict[str, Any]:
    """Give a command to a run and return its answer.

    Raises :class:`ControlError` where it refuses, :class:`NoSuchRunError` where there is none, and
    :class:`UnreachableError`.
    """
    try:
        message = await connection.client.request(f"{CONTROL}.{run_id}", words.encode(), timeout=timeout_s)
    except nats.errors.NoRespondersError:
        raise NoSuchRunError(f"no replay {run_id} runs at {connection.url}", "spyctl ctl lists those that do") from None
    except (nats.errors.Error, OSError) as error:
        denied = f": {error}" if "permissions" in str(error) else ""
        raise unanswered(run_id, timeout_s, denied) from None
    document: dict[str, Any] = orjson.loads(message.data)
    if ERROR_CODE_HEADER in (message.headers or {}):
        raise ControlError(str(document["error"]), str(document["remedy"]))
    return document
