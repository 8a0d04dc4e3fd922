"""Checks of NATS: the server that the other commands would use, JetStream, and the stream."""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

from spyctl.bus.account import account_of, not_permitted
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import stream_info
from spyctl.bus.runs import BUCKET, BUCKET_STREAM, BUCKET_SUBJECTS, OTHER_SUBJECTS, bucket_misfits, living_runs
from spyctl.bus.stream import Limits, config_on, misfits, outdated, overlap
from spyctl.bus.target import Reached, reach, would_start
from spyctl.errors import AccessDeniedError, ExitCode, SpyctlError, UnfitStreamError, UnreachableError
from spyctl.market.subjects import SUBJECTS, stream_name, with_prefix
from spyctl.probe.request import Findings, ProbeRequest
from spyctl.probe.result import Advice, CheckResult, Verdict, skipped
from spyctl.terminal.text import count, size_text
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
    connection, name = reached.connection, stream_name(prefix)
    account = await account_of(connection, name)
    missing = [each for each in (name, BUCKET_STREAM) if await _stream_info(connection, each) is None]
    if shortage := account.shortage(missing):
        return CheckResult("jetstream", Verdict.FAIL, shortage, advice=Advice.RAISE_LIMITS, code=ExitCode.NATS)
    free = reached.embedded.store.free_bytes() if reached.embedded is not None else account.free
    text = f"{size_text(free)} free" if free is not None else "no limit on storage"
    return CheckResult("jetstream", Verdict.PASS, f"on, {text}")


async def _stream_info(connection: Connection, name: str) -> dict[str, Any] | None:
    try:
        return await stream_info(connection, name)
    except ApiError as error:
        raise UnfitStreamError(f"{name} cannot be read: {error.description}") from None


async def _stream_check(connection: Connection, prefix: str) -> CheckResult:
    name, wanted = stream_name(prefix), config_on(connection, prefix)
    info, bucket = await _stream_info(connection, name), await _stream_info(connection, BUCKET_STREAM)
    direct = bucket is not None and bucket["config"].get("allow_direct")
    asked = [f"DIRECT.GET.{BUCKET_STREAM}.id" if direct else f"STREAM.MSG.GET.{BUCKET_STREAM}"]
    asked += [f"STREAM.CREATE.{BUCKET_STREAM}"] if bucket is None else []
    if info is None and (error := await overlap(connection, wanted["subjects"])) is not None:
        raise error
    if bucket is None and (error := await overlap(connection, [BUCKET_SUBJECTS])) is not None:
        raise UnfitStreamError(error.message, OTHER_SUBJECTS)
    if bucket is not None and (problems := bucket_misfits(bucket)):
        return _failed(f"{BUCKET_STREAM} {problems[0]}", Advice.OTHER_BUCKET)
    if info is None:
        return await _rights(
            connection, prefix, f"{name} will be created by the first run", [*asked, f"STREAM.CREATE.{name}"]
        )
    config, state = info["config"], info["state"]
    if problems := misfits(config, wanted["subjects"]):
        return _failed(f"{name} {problems[0]}", Advice.OTHER_STREAM)
    limits = Limits.of(config)
    sentences = limits.sentences(name)
    if limits.are_reached(state["messages"], state["bytes"]):
        return _failed(f"{name} is full: {'; '.join(sentences)}", Advice.MAKE_ROOM)
    hours = (config.get("max_age") or 0) / SECOND / 3600
    age = f"{hours:,.0f} h" if hours else "no age limit"
    text = f"{name} fits: {config.get('storage')}, {age}, {count('events', state['messages'])}"
    asked += [f"STREAM.UPDATE.{name}"] if outdated(config, wanted) else []
    result = await _rights(connection, prefix, text, asked)
    if sentences and result.verdict is Verdict.PASS:
        return replace(result, verdict=Verdict.WARN, text=f"{text}; {'; '.join(sentences)}")
    return result


def _failed(text: str, advice: Advice) -> CheckResult:
    return CheckResult("stream", Verdict.FAIL, text, advice=advice, code=ExitCode.NATS)


async def _rights(connection: Connection, prefix: str, text: str, asked: Sequence[str]) -> CheckResult:
    # Whether a run may publish there, keep its record and leases, and ask what it has to.
    name, published = stream_name(prefix), [with_prefix(subject, prefix) for subject in SUBJECTS]
    asked = [
        *asked, f"STREAM.MSG.GET.{name}", f"CONSUMER.CREATE.{name}.id", f"CONSUMER.DELETE.{name}.id",
    ]  # fmt: skip
    subjects = [
        *published,
        f"$KV.{BUCKET}.run.id",
        *(f"$KV.{BUCKET}.lease.{subject}" for subject in published),
        *(f"$JS.API.{subject}" for subject in asked),
    ]
    denied = await not_permitted(connection, subjects)
    if denied is None:
        text += "; what may be published there, the server does not tell"
        return CheckResult("stream", Verdict.WARN, text, advice=Advice.TRY_A_RUN)
    if denied:
        raise AccessDeniedError(f"we may not publish to {', '.join(denied[:3])}{' and more' * (len(denied) > 3)}")
    return CheckResult("stream", Verdict.PASS, text)
