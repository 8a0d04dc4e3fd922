"""``spyctl server``: the embedded NATS server."""

from pathlib import Path
from typing import Annotated

import typer

from spyctl.cli.framework.command import Command, Group
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import write
from spyctl.cli.options import Json, Port, Store, talk_of
from spyctl.errors import ExitCode, UsageError
from spyctl.terminal.text import size_text

app = typer.Typer(
    help="Run, look at or empty the embedded NATS server.",
    cls=Group,
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def _server(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        write(context.get_help())


def _store_path(store: Path | None) -> Path:
    from spyctl.bus.embedded import default_store

    return store or default_store()


@app.command(cls=Command)
def run(context: typer.Context, store: Store = None, port: Port = 4222) -> int:
    """Keep the embedded server running until Ctrl-C.

    spyctl server run
    """
    import asyncio

    return asyncio.run(_run(_store_path(store), port, talk_of(context)))


async def _run(folder: Path, port: int, talk: Reporter) -> int:
    import asyncio
    import signal

    from spyctl.bus.embedded import EmbeddedServer
    from spyctl.bus.embedded import Store as EmbeddedStore
    from spyctl.paths import path_text

    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[ExitCode] = asyncio.Queue()
    loop.add_signal_handler(signal.SIGINT, signals.put_nowait, ExitCode.INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, signals.put_nowait, ExitCode.TERMINATED)
    async with EmbeddedServer(EmbeddedStore(folder), port) as server:
        assert server.state is not None
        verb = "started" if server.started else "already running, kept"
        talk.block(
            "nats", f"nats-server {server.state.version} {verb}: {server.state.url}", f"store {path_text(folder)}"
        )
        talk.line("Ctrl-C ends it, unless another command is using it")
        return await signals.get()


@app.command(cls=Command)
def status(store: Store = None, as_json: Json = False) -> int:
    """Say whether the embedded server runs, where, and how much it holds.

    spyctl server status --json
    """
    from dataclasses import asdict

    import orjson

    from spyctl.bus.embedded import Store as EmbeddedStore
    from spyctl.paths import path_text

    folder = _store_path(store)
    found = EmbeddedStore(folder)
    state = found.state() if folder.is_dir() else None
    size = sum(path.stat().st_size for path in (folder / "jetstream").rglob("*") if path.is_file())
    if as_json:
        document = {
            "running": state is not None,
            "store": str(folder),
            "bytes": size,
            "free_bytes": found.free_bytes(),
        }
        write(orjson.dumps(document | (asdict(state) if state else {}), option=orjson.OPT_INDENT_2).decode())
    else:
        if state is not None:
            write(f"running  nats-server {state.version} on {state.url}, process {state.pid}")
        else:
            write("stopped  it starts with the first command that needs it")
        write(f"store    {path_text(folder)}, {size_text(size)} held, {size_text(found.free_bytes())} free")
    return ExitCode.OK


@app.command(cls=Command)
def reset(
    context: typer.Context,
    store: Store = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Delete everything that the embedded server has stored.

    spyctl server reset --yes
    """
    import sys

    from spyctl.bus.embedded import Store as EmbeddedStore
    from spyctl.paths import path_text

    folder = _store_path(store)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"this deletes all events in {path_text(folder)}", "spyctl server reset --yes")
        typer.confirm(f"delete all events in {path_text(folder)}?", abort=True, err=True)
    freed = EmbeddedStore(folder).reset()
    talk_of(context).line(f"deleted {size_text(freed)} in {path_text(folder)}")
    return ExitCode.OK
