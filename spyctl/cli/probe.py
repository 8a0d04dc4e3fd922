"""``spyctl probe``: named checks of key, feed, NATS and data."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spyctl.cli.feed_options import FeedOptions, Underlying
from spyctl.cli.framework.remedies import RAISE_LIMITS, remedy_for
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import colours, write, write_document
from spyctl.cli.futures_options import EsGateway, gateway_address
from spyctl.cli.keys import MASSIVE_KEYS, databento_key, massive_key
from spyctl.cli.nats_options import NatsOptions
from spyctl.cli.options import DataDir, Gateway, Json
from spyctl.errors import ExitCode
from spyctl.probe.result import Advice, CheckResult, Verdict
from spyctl.terminal.outgoing import Mark, safe_line
from spyctl.terminal.tables import hanging
from spyctl.terminal.text import elapsed_text, marked

if TYPE_CHECKING:
    from spyctl.probe.request import ProbeRequest

_ADVICE = {
    Advice.SET_KEY: "export {key}=…; spyctl live --sim needs none",
    Advice.COPY_KEY: "copy it again from the dashboard at massive.com",
    Advice.BETTER_PLAN: "a plan that includes it: massive.com/pricing",
    Advice.REAL_TIME_PLAN: "spyctl live --delayed, or a plan with real time",
    Advice.DELAYED_FEED: "spyctl probe --delayed, or a plan with real time",
    Advice.OTHER_EXPIRY: "spyctl live --expiry DAY",
    Advice.WAIT_A_MINUTE: "try again in a minute",
    Advice.RETRY_LATER: "try again later",
    Advice.CHECK_API_ADDRESS: "check network, proxy and --rest-url",
    Advice.CHECK_FEED_ADDRESS: "check network, proxy and --feed-url",
    Advice.CHECK_ES_GATEWAY: "check the network (TCP, port 13000) and --es-gateway",
    Advice.SET_CLOCK: "set the clock (chrony, systemd-timesyncd)",
    Advice.STOP_OTHER_PROCESS: "stop it; a key has one connection per market",
    Advice.FORCE_SOCKETS: "--force checks them anyway",
    Advice.NAME_SERVER: "name one with --nats-url or NATS_URL for live, or give it --embedded",
    Advice.START_SERVER: "start it, or leave out {named_by} to use the embedded server",
    Advice.OTHER_STREAM: "another server, or nats stream rm {stream}",
    Advice.RAISE_LIMITS: RAISE_LIMITS,
    Advice.MAKE_ROOM: "nats stream purge {stream}, or --prefix NAME for a stream of its own",
    Advice.OTHER_BUCKET: "another server, or nats stream rm KV_SPYCTL",
    Advice.TRY_A_RUN: "a rehearsal: spyctl live --sim --prefix TEST --for 5s",
    Advice.LIST_FILES: "spyctl discover lists them",
}
_GLYPHS = {
    Verdict.PASS: ("✓", Mark.GREEN),
    Verdict.WARN: ("!", Mark.YELLOW),
    Verdict.FAIL: ("✗", Mark.RED),
    Verdict.SKIP: ("–", Mark.DIM),
}
_NAME_WIDTH, _TEXT_WIDTH, _WIDTH = 11, 56, 80


def probe(
    context: typer.Context,
    *,
    symbol: Underlying = "SPY",
    rest_only: Annotated[
        bool, typer.Option("--rest-only", help="Open no WebSocket: it would cut off a running live with this key.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Open WebSockets even if a live run uses this key.")] = False,
    feed: FeedOptions,
    gateway: Gateway = None,
    es_gateway: EsGateway = None,
    data_dir: DataDir = Path("dbn-data"),
    nats: NatsOptions,
    as_json: Json = False,
) -> int:
    """Check key, plan, clock, sockets, NATS, stream and data; say how to fix what fails.

    spyctl probe    everything
    spyctl probe --rest-only    without touching a running live
    """
    import asyncio

    from spyctl.dbn.historical_api import GATEWAY
    from spyctl.massive.key_hash import key_hash
    from spyctl.probe.request import ProbeRequest

    key = massive_key()
    request = ProbeRequest(
        api_key=key.secret if key else None,
        key_name=key.variable if key else " and ".join(MASSIVE_KEYS),
        key_hash=key_hash(key.secret if key else ""),
        target=nats.target(context),
        data_dir=data_dir,
        feed_url=feed.websocket_url(),
        rest_url=feed.api_url(),
        symbol=symbol,
        prefix=nats.prefix,
        databento_key=databento_key(),
        gateway=gateway or GATEWAY,
        es_gateway=gateway_address(es_gateway),
        rest_only=rest_only,
        force=force,
    )
    if key and not rest_only:
        Reporter.of(context).line("note: the ws checks cut off a spyctl live with this key; --rest-only does not")
    return asyncio.run(_check(request, as_json=as_json))


async def _check(request: "ProbeRequest", *, as_json: bool) -> int:
    import time

    from spyctl.probe.checks import probe as checks

    begun_s = time.monotonic()
    printer = _Printer(request)
    results: list[CheckResult] = []
    async for result in checks(request):
        results.append(result)
        if not as_json:
            printer.add(result)
    counts = {verdict: sum(result.verdict is verdict for result in results) for verdict in Verdict}
    took_s = time.monotonic() - begun_s
    if as_json:
        document = {
            "checks": [_document(result, request) for result in results],
            "counts": {str(verdict): number for verdict, number in counts.items()},
            "took_s": took_s,
        }
        write_document(document)
    else:
        printer.end(counts, took_s)
    return next((result.code for result in results if result.verdict is Verdict.FAIL), ExitCode.OK)


def _remedy(result: CheckResult, request: "ProbeRequest") -> str:
    from spyctl.market.subjects import stream_name

    if result.error is not None:
        return remedy_for(result.error)
    if result.advice is None:
        return ""
    facts = {
        "key": request.key_name.partition(" ")[0],
        "named_by": request.target.named_by,
        "stream": stream_name(request.prefix),
    }
    return _ADVICE[result.advice].format(**facts)


def _document(result: CheckResult, request: "ProbeRequest") -> dict[str, Any]:
    return {
        "name": result.name,
        "verdict": result.verdict,
        "text": result.text,
        "took_s": result.took_s,
        "remedy": _remedy(result, request),
        "code": result.code,
    }


class _Printer:
    # Prints each result as it comes; checks that are skipped for the same reason share a line.
    def __init__(self, request: "ProbeRequest") -> None:
        self._request = request
        self._colour = colours(sys.stdout)
        self._skipped: list[CheckResult] = []

    def add(self, result: CheckResult) -> None:
        if self._skipped and (result.verdict is not Verdict.SKIP or result.text != self._skipped[0].text):
            self._print_skipped()
        if result.verdict is Verdict.SKIP:
            self._skipped.append(result)
        else:
            took = elapsed_text(result.took_s) if result.took_s is not None else ""
            first, *rest = hanging(" " * (_NAME_WIDTH + 4), result.text, _NAME_WIDTH + 4 + _TEXT_WIDTH)
            text = first[_NAME_WIDTH + 4 :]
            write(f" {self._glyph(result)} {result.name:<{_NAME_WIDTH}} {text:<{_TEXT_WIDTH}} {took:>7}".rstrip())
            self._print_rest(rest, _remedy(result, self._request))

    def end(self, counts: dict[Verdict, int], took_s: float) -> None:
        self._print_skipped()
        texts = [f"{counts[verdict]} {'skipped' if verdict is Verdict.SKIP else verdict}" for verdict in Verdict]
        write(f" {'   '.join(texts):<{_NAME_WIDTH + _TEXT_WIDTH + 2}}{elapsed_text(took_s):>7}")

    def _print_skipped(self) -> None:
        if self._skipped:
            first = self._skipped[0]
            names = ", ".join(result.name for result in self._skipped)
            write(f" {self._glyph(first)} {names}: {safe_line(first.text)}")
            self._print_rest([], _remedy(first, self._request))
            self._skipped.clear()

    def _print_rest(self, lines: list[str], remedy: str) -> None:
        if remedy:
            lines = [*lines, *hanging(" " * (_NAME_WIDTH + 4), f"try: {remedy}", _WIDTH)]
        for line in lines:
            write(line)

    def _glyph(self, result: CheckResult) -> str:
        glyph, mark = _GLYPHS[result.verdict]
        return marked(mark, glyph) if self._colour else glyph
