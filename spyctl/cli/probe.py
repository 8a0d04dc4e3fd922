"""``spyctl probe``: named checks of key, feed, NATS and data."""

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from spyctl.cli.framework.streams import colours, write
from spyctl.cli.live import Delayed, FeedUrl, RestUrl, Symbol, http_url, ws_url
from spyctl.cli.options import (
    API_KEYS,
    DataDir,
    Embedded,
    Gateway,
    Json,
    NatsUrl,
    Port,
    Prefix,
    Store,
    databento_key,
    found_api_key,
    nats_target,
    talk_of,
)
from spyctl.errors import ExitCode

if TYPE_CHECKING:
    from spyctl.probe import CheckResult, ProbeRequest

_GLYPHS = {"pass": ("✓", "32"), "warn": ("!", "33"), "fail": ("✗", "31"), "skip": ("–", "2")}
_NAME_WIDTH, _TEXT_WIDTH = 11, 56


def probe(
    context: typer.Context,
    symbol: Symbol = "SPY",
    rest_only: Annotated[
        bool, typer.Option("--rest-only", help="Open no WebSocket: that would cut off a running live on this key.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Open them even where a live run uses this key.")] = False,
    feed_url: FeedUrl = None,
    rest_url: RestUrl = None,
    delayed: Delayed = False,
    gateway: Gateway = None,
    data_dir: DataDir = Path("dbn-data"),
    nats_url: NatsUrl = None,
    embedded: Embedded = False,
    store: Store = None,
    port: Port = 4222,
    prefix: Prefix = "",
    as_json: Json = False,
) -> int:
    """Check key, plan, clock, sockets, NATS, stream and data; say what to do about what fails.

    spyctl probe    everything
    spyctl probe --rest-only    without touching a running live
    """
    import asyncio

    from spyctl.cli.live_run import key_hash
    from spyctl.dbn.historical_api import GATEWAY
    from spyctl.massive.feed import DELAYED_URL, FEED_URL
    from spyctl.massive.rest import REST_URL
    from spyctl.probe import ProbeRequest

    name, key = found_api_key()
    request = ProbeRequest(
        api_key=key,
        key_name=name or " and ".join(API_KEYS),
        key_hash=key_hash(key or ""),
        target=nats_target(context, nats_url, embedded, port, store),
        data_dir=data_dir,
        feed_url=ws_url(feed_url or (DELAYED_URL if delayed else FEED_URL)),
        rest_url=http_url(rest_url or REST_URL),
        symbol=symbol,
        prefix=prefix,
        databento_key=databento_key(),
        gateway=gateway or GATEWAY,
        rest_only=rest_only,
        force=force,
    )
    talk = talk_of(context)
    if key and not rest_only:
        talk.line("note: the ws checks cut off a spyctl live on this key; --rest-only spares it")
    return asyncio.run(_show(request, as_json=as_json))


async def _show(request: "ProbeRequest", *, as_json: bool) -> int:
    import sys
    import time
    from dataclasses import asdict, replace

    import orjson

    from spyctl.probe import probe as checks

    begun_s = time.monotonic()
    results: list[CheckResult] = []
    skipped: list[CheckResult] = []
    colour = colours(sys.stdout)

    def show_skipped() -> None:
        if skipped and not as_json:
            together = replace(skipped[0], name=", ".join(one.name for one in skipped))
            write("\n".join(_lines(together, colour)))
        skipped.clear()

    async for result in checks(request):
        results.append(result)
        if skipped and (result.verdict, result.text) != ("skip", skipped[0].text):
            show_skipped()
        if result.verdict == "skip":
            skipped.append(result)
        elif not as_json:
            write("\n".join(_lines(result, colour)))
    show_skipped()
    counts = {verdict: sum(one.verdict == verdict for one in results) for verdict in _GLYPHS}
    took_s = time.monotonic() - begun_s
    failures = [result.code for result in results if result.verdict == "fail"]
    if as_json:
        document = {"checks": [asdict(result) for result in results], "counts": counts, "took_s": took_s}
        write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        texts = [f"{counts[verdict]} {'skipped' if verdict == 'skip' else verdict}" for verdict in _GLYPHS]
        write(f" {'   '.join(texts):<{_NAME_WIDTH + _TEXT_WIDTH + 2}}{_duration(took_s):>7}")
    return failures[0] if failures else ExitCode.OK


def _lines(result: "CheckResult", colour: bool) -> list[str]:
    glyph, code = _GLYPHS[result.verdict]
    mark = f"\x1b[{code}m{glyph}\x1b[0m" if colour else glyph
    if result.verdict == "skip":
        lines = [f" {mark} {result.name}: {result.text}"]
    else:
        took = f"{_duration(result.took_s):>7}" if result.took_s is not None else ""
        first, *rest = wrap(result.text, _TEXT_WIDTH)
        lines = [f" {mark} {result.name:<{_NAME_WIDTH}} {first:<{_TEXT_WIDTH}} {took}".rstrip()]
        lines += [f"{'':<{_NAME_WIDTH + 4}}{line}" for line in rest]
    if result.remedy:
        lines += [f"{'':<{_NAME_WIDTH + 4}}{line}" for line in wrap(f"try: {result.remedy}", 80 - _NAME_WIDTH - 4)]
    return lines


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
