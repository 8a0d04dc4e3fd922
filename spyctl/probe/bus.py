"""Checks of NATS: the server that the other commands would use, JetStream, and the stream."""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

from spyctl.bus.account import Account, not_permitted
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import stream_info
from spyctl.bus.runs import BUCKET, living_runs
from spyctl.bus.stream import misfits, overlap
from spyctl.bus.target import Reached, reach, would_start
from spyctl.errors import AccessDeniedError, ExitCode, SpyctlError, UnfitStreamError, UnreachableError
from spyctl.market.subjects import STREAM_SUBJECTS, SUBJECTS, stream_name, with_prefix
from spyctl.probe.request import Findings, ProbeRequest
from spyctl.probe.result import Advice, CheckResult, Verdict, skipped
from spyctl.terminal.text import count
from spyctl.timing.instants import SECOND


async def bus_checks(request: ProbeRequest, findings: Findings, stack: AsyncExitStack) -> list[CheckResult]:
    """Return the results; keeps the run that uses the vendor's key. The connection ends with ``stack``."""
    target, needing_nats = request.target, skipped(("jetstream", "stream"), "they need NATS")
    if would_start(target):
        if target.embedded:
            text = "the embedded server is not running; the first command that needs it starts it"
            return [CheckResult("nats", Verdict.WARN, text), *needing_nats]
        text = f"none on localhost:{target.port}: replay, tail and live --sim use the embedded server"
        return [CheckResult("nats", Verdict.WARN, text, advice=Advice.NAME_SERVER), *needing_nats]
    begun_s = time.monotonic()
    try:
        reached = await stack.enter_async_context(reach(target))
    except SpyctlError as error:
        result = CheckResult("nats", Verdict.FAIL, error.message, time.monotonic() - begun_s, code=ExitCode.NATS)
        if isinstance(error, UnreachableError) and target.named_by:
            result = replace(result, text=f"{error.message} ({target.named_by})", advice=Advice.START_SERVER)
        else:
            result = replace(result, error=error)
        return [result, *needing_nats]
    connection, prefix = reached.connection, request.prefix
    where = "embedded server" if reached.embedded is not None else connection.url
    text = f"{where}, nats-server {connection.server_version}"
    results = [CheckResult("nats", Verdict.PASS, text, time.monotonic() - begun_s)]
    for name, check in (("jetstream", _account_check(reached, prefix)), ("stream", _stream_check(connection, prefix))):
        try:
            results.append(await check)
        except SpyctlError as error:
            results.append(CheckResult(name, Verdict.FAIL, error.message, error=error, code=ExitCode.NATS))
    with suppress(SpyctlError):
        for run in await living_runs(connection):
            if request.key_hash and run.options.get("key_hash") == request.key_hash:
                findings.run_with_key = run.run_id
    return results


async def _account_check(reached: Reached, prefix: str) -> CheckResult:
    # What the account has left for the streams that a run would make.
    connection = reached.connection
    account = Account.of(await connection.jetstream_info())
    names = (stream_name(prefix), f"KV_{BUCKET}")
    missing = [name for name in names if await _stream_info(connection, name) is None]
    if shortage := account.shortage(missing):
        return CheckResult("jetstream", Verdict.FAIL, shortage, advice=Advice.RAISE_LIMITS, code=ExitCode.NATS)
    free = reached.embedded.store.free_bytes() if reached.embedded is not None else account.free
    text = f"{free / 1e9:,.0f} GB free" if free is not None else "no limit on storage"
    return CheckResult("jetstream", Verdict.PASS, f"on, {text}")


async def _stream_info(connection: Connection, name: str) -> dict[str, Any] | None:
    try:
        return await stream_info(connection, name)
    except ApiError as error:
        raise UnfitStreamError(f"{name} cannot be read: {error.description}") from None


async def _stream_check(connection: Connection, prefix: str) -> CheckResult:
    name = stream_name(prefix)
    subjects = [with_prefix(subject, prefix) for subject in STREAM_SUBJECTS]
    info = await _stream_info(connection, name)
    if info is None:
        if (error := await overlap(connection, subjects)) is not None:
            raise error
        return await _rights(connection, prefix, f"{name} will be created by the first run", [f"STREAM.CREATE.{name}"])
    config = info["config"]
    if problems := misfits(config, subjects):
        text = f"{name} {problems[0]}"
        return CheckResult("stream", Verdict.FAIL, text, advice=Advice.OTHER_STREAM, code=ExitCode.NATS)
    hours = (config.get("max_age") or 0) / SECOND / 3600
    age = f"{hours:,.0f} h" if hours else "no age limit"
    events = count("events", info["state"]["messages"])
    return await _rights(connection, prefix, f"{name} fits: {config.get('storage')}, {age}, {events}")


async def _rights(connection: Connection, prefix: str, text: str, asked: Sequence[str] = ()) -> CheckResult:
    # Whether a run may publish there, keep its record, and ask what it has to.
    subjects = [
        *(with_prefix(subject, prefix) for subject in SUBJECTS),
        f"$KV.{BUCKET}.run.id",
        *(f"$JS.API.{subject}" for subject in (*asked, f"CONSUMER.CREATE.{stream_name(prefix)}.id")),
    ]
    denied = await not_permitted(connection, subjects)
    if denied is None:
        text += "; what may be published there, the server does not tell"
        return CheckResult("stream", Verdict.WARN, text, advice=Advice.TRY_A_RUN)
    if denied:
        raise AccessDeniedError(f"we may not publish to {', '.join(denied)}")
    return CheckResult("stream", Verdict.PASS, text)
