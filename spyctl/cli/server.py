"""``spyctl server``: the embedded NATS server."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from spyctl.cli.framework.command import add_command, command_group
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import write, write_document
from spyctl.cli.nats_options import DEFAULT_PORT, Port, Store
from spyctl.cli.options import Json
from spyctl.errors import ExitCode, UsageError, path_text
from spyctl.terminal.text import size_text


def _folder(store: Path | None) -> Path:
    from spyctl.bus.embedded import default_store

    return store or default_store()


def run(context: typer.Context, *, store: Store = None, port: Port = DEFAULT_PORT) -> int:
    """Keep the embedded server running until Ctrl-C.

    spyctl server run
    """
    import asyncio

    return asyncio.run(_run(_folder(store), port, Reporter.of(context)))


async def _run(folder: Path, port: int, reporter: Reporter) -> int:
    import asyncio
    import signal

    from spyctl.bus.embedded import EmbeddedServer
    from spyctl.bus.embedded import Store as EmbeddedStore

    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[ExitCode] = asyncio.Queue()
    loop.add_signal_handler(signal.SIGINT, signals.put_nowait, ExitCode.INTERRUPTED)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, signals.put_nowait, ExitCode.TERMINATED)
    async with EmbeddedServer(EmbeddedStore(folder), port) as server:
        state = server.state
        assert state is not None
        verb = "started" if server.started else "already running, kept"
        reporter.block("nats", f"nats-server {state.version} {verb}: {state.url}", f"store {path_text(folder)}")
        reporter.line("Ctrl-C stops it unless another command is using it")
        return await signals.get()


def status(*, store: Store = None, as_json: Json = False) -> int:
    """Show whether the embedded server is up, where, who may do what, and how much it holds.

    spyctl server status --json
    """
    from dataclasses import asdict

    from spyctl.bus.embedded import Store as EmbeddedStore

    folder = _folder(store)
    embedded = EmbeddedStore(folder)
    state = embedded.state() if folder.is_dir() else None
    size = sum(path.stat().st_size for path in (folder / "jetstream").rglob("*") if path.is_file())
    free = embedded.free_bytes()
    password = embedded.password_path if embedded.password_path.exists() else None
    if as_json:
        document = {"running": state is not None, "store": str(folder), "bytes": size, "free_bytes": free}
        document["password_file"] = str(password) if password is not None else None
        write_document(document | (asdict(state) if state else {}))
        return ExitCode.OK
    if state is not None:
        write(f"running  nats-server {state.version} on {state.url}, process {state.pid}")
    else:
        write("stopped  it starts with the first command that needs it")
    if password is not None:
        write("access   spyctl may do everything; connections without a password may read and consume, not publish")
        write("         spyctl server credentials: how your own programs publish")
    write(f"store    {path_text(folder)}, {size_text(size)} held, {size_text(free)} free")
    return ExitCode.OK


def credentials(*, store: Store = None, as_json: Json = False) -> int:
    """Show how your own programs may publish to the embedded server; no password is shown.

    spyctl server credentials
    """
    from spyctl.bus.embedded import Store as EmbeddedStore
    from spyctl.bus.keeper import OWNER
    from spyctl.errors import EmbeddedServerError

    folder = _folder(store)
    path = EmbeddedStore(folder).password_path
    if not path.exists():
        raise EmbeddedServerError(
            f"the embedded server on {path_text(folder)} has no password yet", "spyctl server run"
        )
    if as_json:
        write_document({"user": OWNER, "password_file": str(path)})
        return ExitCode.OK
    write(f"user      {OWNER}")
    write(f"password  in {path_text(path)}, which you alone can read")
    write(f'shell     export NATS_USER={OWNER} NATS_PASSWORD="$(cat {quote(str(path))})"')
    return ExitCode.OK


def reset(
    context: typer.Context,
    *,
    store: Store = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> int:
    """Delete everything that the embedded server has stored.

    spyctl server reset --yes
    """
    import sys

    from spyctl.bus.embedded import Store as EmbeddedStore

    folder = _folder(store)
    embedded = EmbeddedStore(folder)
    embedded.refuse_running()  # before anything is asked
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"this deletes all events in {path_text(folder)}", "spyctl server reset --yes")
        typer.confirm(f"delete all events in {path_text(folder)}?", abort=True, err=True)
    freed = embedded.reset()
    Reporter.of(context).line(f"deleted {size_text(freed)} in {path_text(folder)}")
    if as_json:
        write_document({"store": str(folder), "freed_bytes": freed})
    return ExitCode.OK


app = command_group("Run, inspect or empty the embedded NATS server.")
add_command(app, run)
add_command(app, status)
add_command(app, credentials)
add_command(app, reset)
