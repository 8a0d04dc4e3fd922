"""``spyctl server``: the embedded NATS server."""

from pathlib import Path
from typing import Annotated

import typer

from spyctl.cli.options import Json, Port, Store
from spyctl.cli.talk import Talk, size_text
from spyctl.errors import ExitCode, UsageError

app = typer.Typer(
    help="Run, look at or empty the embedded NATS server.",
    invoke_without_command=True,
    rich_markup_mode="rich",
)


@app.callback()
def _server(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _store_path(store: Path | None) -> Path:
    from spyctl.bus.embedded import default_store

    return store or default_store()


@app.command()
def run(store: Store = None, port: Port = 4222) -> int:
    """Keep the embedded server running until Ctrl-C."""
    import asyncio

    return asyncio.run(_run(_store_path(store), port))


async def _run(folder: Path, port: int) -> int:
    import asyncio
    import signal

    from spyctl.bus.embedded import EmbeddedServer
    from spyctl.bus.embedded import Store as EmbeddedStore
    from spyctl.plan import shown

    talk = Talk()
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[ExitCode] = asyncio.Queue()
    loop.add_signal_handler(signal.SIGINT, signals.put_nowait, ExitCode.INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, signals.put_nowait, ExitCode.TERMINATED)
    async with EmbeddedServer(EmbeddedStore(folder), port) as server:
        assert server.state is not None
        verb = "started" if server.started else "already running, kept"
        talk.block("nats", f"nats-server {server.state.version} {verb}: {server.state.url}", f"store {shown(folder)}")
        talk.line("Ctrl-C ends it, unless another command is using it")
        return await signals.get()


@app.command()
def status(store: Store = None, as_json: Json = False) -> int:
    """Say whether the embedded server runs, where, and how much it holds."""
    from dataclasses import asdict

    import orjson

    from spyctl.bus.embedded import Store as EmbeddedStore
    from spyctl.plan import shown

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
        typer.echo(orjson.dumps(document | (asdict(state) if state else {}), option=orjson.OPT_INDENT_2).decode())
    else:
        if state is not None:
            typer.echo(f"running  nats-server {state.version} on {state.url}, process {state.pid}")
        else:
            typer.echo("stopped  it starts with the first command that needs it")
        typer.echo(f"store    {shown(folder)}, {size_text(size)} held, {size_text(found.free_bytes())} free")
    return ExitCode.OK


@app.command()
def reset(store: Store = None, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> int:
    """Delete everything that the embedded server has stored."""
    import sys

    from spyctl.bus.embedded import Store as EmbeddedStore
    from spyctl.plan import shown

    folder = _store_path(store)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"this deletes all events in {shown(folder)}", "spyctl server reset --yes")
        typer.confirm(f"delete all events in {shown(folder)}?", abort=True, err=True)
    freed = EmbeddedStore(folder).reset()
    Talk().line(f"deleted {size_text(freed)} in {shown(folder)}")
    return ExitCode.OK
