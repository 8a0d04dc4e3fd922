"""Checks of NATS: the server that the other commands would use, JetStream, and the stream."""

import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.runs import living_runs
from spyctl.bus.stream import misfits
from spyctl.bus.target import Reached, reach, would_start
from spyctl.errors import ExitCode, SpyctlError, UnreachableError
from spyctl.market.subjects import STREAM_SUBJECTS, stream_name, with_prefix
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
    connection = reached.connection
    where = "embedded server" if reached.embedded is not None else connection.url
    text = f"{where}, nats-server {connection.server_version}"
    results = [
        CheckResult("nats", Verdict.PASS, text, time.monotonic() - begun_s),
        CheckResult("jetstream", Verdict.PASS, f"on, {await _space_text(reached)}"),
        await _stream_check(connection, request.prefix),
    ]
    for run in await living_runs(connection):
        if request.key_hash and run.options.get("key_hash") == request.key_hash:
            findings.run_with_key = run.run_id
    return results


async def _space_text(reached: Reached) -> str:
    if reached.embedded is not None:
        return f"{reached.embedded.store.free_bytes() / 1e9:,.0f} GB free"
    info = await reached.connection.jetstream_info()
    limit = info.get("limits", {}).get("max_storage", -1)
    return f"{(limit - info.get('storage', 0)) / 1e9:,.0f} GB free" if limit >= 0 else "no limit on storage"


async def _stream_check(connection: Connection, prefix: str) -> CheckResult:
    name = stream_name(prefix)
    try:
        info: dict[str, Any] = await connection.api(f"STREAM.INFO.{name}")
    except ApiError as error:
        if error.code == 404:
            return CheckResult("stream", Verdict.PASS, f"{name} will be created by the first run")
        return CheckResult("stream", Verdict.FAIL, f"{name} cannot be read: {error.description}", code=ExitCode.NATS)
    config = info["config"]
    if problems := misfits(config, [with_prefix(subject, prefix) for subject in STREAM_SUBJECTS]):
        text = f"{name} {problems[0]}"
        return CheckResult("stream", Verdict.FAIL, text, advice=Advice.OTHER_STREAM, code=ExitCode.NATS)
    hours = config.get("max_age", 0) / SECOND / 3600
    age = f"{hours:,.0f} h" if hours else "no age limit"
    events = count("events", info["state"]["messages"])
    return CheckResult("stream", Verdict.PASS, f"{name} fits: {config.get('storage')}, {age}, {events}")
