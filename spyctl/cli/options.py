"""The options that several commands share, with their environment variables."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.help_page import OUTPUT
from spyctl.cli.framework.reporter import Reporter
from spyctl.errors import KeyRefusedError, UsageError

if TYPE_CHECKING:
    from spyctl.bus.access import Access
    from spyctl.bus.target import Target

DATABENTO_KEY = "DATABENTO_API_KEY"
API_KEYS = ("POLYGON_API_KEY", "MASSIVE_API_KEY")


def nats_urls(text: str | None, context: Any) -> tuple[str, ...]:
    """Split ``--nats-url`` or ``NATS_URL``; a password is accepted from the environment alone.

    ``context`` is the command's :class:`typer.Context`. Raises :class:`UsageError`.
    """
    if not text:
        return ()
    urls = tuple(url.strip() for url in text.split(",") if url.strip())
    source = context.get_parameter_source("nats_url")
    for url in urls:
        full = url if "//" in url else f"nats://{url}"
        try:
            parts = urlsplit(full)
            good = bool(parts.hostname) and parts.scheme in ("nats", "tls", "ws", "wss") and (parts.port or 1) > 0
            # A password with / or # in it ends the host too early; what is left of it must not be shown.
            good = good and full.count("@") == parts.netloc.count("@") <= 1
        except ValueError:
            good = False
        on_command_line = source is not None and source.name == "COMMANDLINE"
        if on_command_line and "@" in full:
            raise UsageError("--nats-url holds a user or password, which everybody can see there", "export NATS_URL=…")
        if not good:
            shown = url if "@" not in url else "(with credentials)"
            raise UsageError(f"{shown!r} is not a NATS URL", "nats://HOST:4222")
    return urls


def nats_target(
    context: Any, nats_url: str | None, embedded: bool, port: int, store: Path | None, *, may_embed: bool = True
) -> "Target":
    """Put the options about NATS together; raises :class:`UsageError` where they contradict each other.

    How to get in was left in the context by :func:`access`.
    """
    from spyctl.bus.embedded import default_store
    from spyctl.bus.target import Target

    if embedded and nats_url and context.get_parameter_source("nats_url").name == "COMMANDLINE":
        raise UsageError("--embedded and --nats-url exclude each other", "one of the two")
    named, ways = _ways_in(**context.meta[_ACCESS])
    urls = nats_urls(nats_url, context)
    source = context.get_parameter_source("nats_url")
    named_by = {"COMMANDLINE": "--nats-url", "ENVIRONMENT": "NATS_URL"}.get(source.name if source else "", "nats_url")
    return Target(
        urls=urls or named, named_by=named_by if urls else "--context" if named else "", embedded=embedded,
        may_embed=may_embed, port=port, store=store or default_store(), access=ways,
    )  # fmt: skip


def checked_prefix(prefix: str) -> str:
    """Check that a prefix is one token of a subject; raises :class:`UsageError`."""
    if prefix and not re.fullmatch(r"[A-Za-z0-9_-]+", prefix):
        raise UsageError(f"--prefix {prefix!r} is no subject token", "letters, digits, - and _ alone")
    return prefix


def found_api_key() -> tuple[str | None, str | None]:
    """Return the variable that holds the vendor's key, and the key; twice ``None`` where there is none."""
    for name in API_KEYS:
        if found := os.environ.get(name, "").strip():
            return name, found
    return None, None


def api_key() -> str:
    """Return the vendor's key from the environment; raises :class:`KeyRefusedError` where there is none."""
    _, found = found_api_key()
    if found is None:
        raise KeyRefusedError(
            f"no API key: {' and '.join(API_KEYS)} are not set",
            f"export {API_KEYS[0]}=…, or spyctl live --sim, which needs none",
        )
    return found


def databento_key() -> str | None:
    """Return the key of Databento's API from the environment, ``None`` where there is none."""
    return os.environ.get(DATABENTO_KEY, "").strip() or None


HOW, WHERE, ACCESS = "How to play it", "Where to", "How to get in"

Symbol = Annotated[
    list[str] | None,
    typer.Option(
        "--symbol",
        envvar="SPYCTL_SYMBOL",
        metavar="NAME",
        help="ESZ5, ES.c.0, ES, 'ES*', outright, spread.",
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option("--dataset", envvar="SPYCTL_DATASET", metavar="NAME", help="GLBX.MDP3 or another, if several."),
]


def checked_gateway(url: str | None) -> str | None:
    """Check that a gateway's URL holds no secret; raises :class:`UsageError`."""
    if url and "@" in url:
        raise UsageError("--gateway holds a user or password", "the key comes from DATABENTO_API_KEY; --gateway URL")
    return url


Gateway = Annotated[
    str | None,
    typer.Option(
        "--gateway",
        envvar="DATABENTO_GATEWAY",
        metavar="URL",
        help="Another address of Databento's API.",
        callback=checked_gateway,
    ),
]
DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="SPYCTL_DATA_DIR", metavar="DIR", readable=False, help="Folder with DBN files."),
]
NatsUrl = Annotated[
    str | None,
    typer.Option(
        "--nats-url",
        envvar="NATS_URL",
        metavar="URL,…",
        help="NATS servers. None named: localhost:4222, else the embedded server.",
        rich_help_panel=WHERE,
    ),
]
Embedded = Annotated[
    bool,
    typer.Option("--embedded", help="Use the embedded server even where another one answers.", rich_help_panel=WHERE),
]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        envvar="SPYCTL_STORE",
        metavar="DIR",
        help="The embedded server's folder, ~/.local/share/spyctl/nats unless named.",
        rich_help_panel=WHERE,
    ),
]
Port = Annotated[
    int,
    typer.Option(
        "--port",
        envvar="SPYCTL_PORT",
        metavar="PORT",
        min=1,
        max=65535,
        help="The embedded server's first choice of port.",
        rich_help_panel=WHERE,
    ),
]
Prefix = Annotated[
    str,
    typer.Option(
        "--prefix",
        envvar="SPYCTL_PREFIX",
        metavar="P",
        help="Publish as P.market.… into P_MARKET_DATA.",
        rich_help_panel=WHERE,
        callback=checked_prefix,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.", rich_help_panel=OUTPUT)]
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        envvar="SPYCTL_METRICS",
        metavar="ADDR",
        help="Serve /metrics, /healthz, /readyz at 9464 or HOST:PORT.",
        rich_help_panel=OUTPUT,
    ),
]
Schema = Annotated[
    list[str] | None,
    typer.Option(
        "--schema",
        envvar="SPYCTL_SCHEMA",
        metavar="NAME",
        help="trades, mbp-10; both unless named.",
        autocompletion=complete.schemas,
    ),
]

_ACCESS = "spyctl.access"


def _secret_file(option: str, variable: str, words: str) -> Any:
    return typer.Option(option, envvar=variable, metavar="FILE", help=words, rich_help_panel=ACCESS)


def access(
    context: typer.Context,
    nats_context: Annotated[
        str | None,
        typer.Option(
            "--context",
            metavar="NAME",
            help="A context of the nats CLI.",
            rich_help_panel=ACCESS,
            autocompletion=complete.contexts,
        ),
    ] = None,
    creds: Annotated[Path | None, _secret_file("--creds", "NATS_CREDS", "Credentials, as nsc writes them.")] = None,
    nkey: Annotated[Path | None, _secret_file("--nkey", "NATS_NKEY", "Seed of an nkey.")] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", envvar="NATS_USER", metavar="NAME", help="User name.", rich_help_panel=ACCESS),
    ] = None,
    password_file: Annotated[
        Path | None, _secret_file("--password-file", "NATS_PASSWORD_FILE", "Or NATS_PASSWORD.")
    ] = None,
    token_file: Annotated[Path | None, _secret_file("--token-file", "NATS_TOKEN_FILE", "Or NATS_TOKEN.")] = None,
    tls_ca: Annotated[Path | None, _secret_file("--tls-ca", "NATS_CA", "Authority that signed the server.")] = None,
    tls_cert: Annotated[Path | None, _secret_file("--tls-cert", "NATS_CERT", "Client certificate.")] = None,
    tls_key: Annotated[Path | None, _secret_file("--tls-key", "NATS_KEY", "Its key.")] = None,
) -> None:
    """Keep how to get in at a NATS server; :func:`nats_target` reads it."""
    context.meta[_ACCESS] = {
        "nats_context": nats_context,
        "password_file": password_file,
        "token_file": token_file,
        "plain": {"creds": creds, "nkey": nkey, "user": user, "ca": tls_ca, "cert": tls_cert, "key": tls_key},
    }


def _ways_in(
    nats_context: str | None, password_file: Path | None, token_file: Path | None, plain: dict[str, Any]
) -> "tuple[tuple[str, ...], Access]":
    from spyctl.bus.access import Access, merged, read_context, read_secret

    def secret(path: Path | None, variable: str) -> str | None:
        return read_secret(path) if path is not None else os.environ.get(variable) or None

    given = Access(**plain, password=secret(password_file, "NATS_PASSWORD"), token=secret(token_file, "NATS_TOKEN"))
    if nats_context is None:
        return (), given
    urls, of_context = read_context(nats_context)
    return urls, merged(given, of_context)


def running_server(params: dict[str, Any]) -> "tuple[tuple[str, ...], Access]":
    """Return which server a half-typed command line means, if it runs, and how to get in."""
    from spyctl.bus.access import Access
    from spyctl.bus.embedded import Store, default_store

    found = {name: params.get(name) for name in ("nats_context", "password_file", "token_file")}
    plain = {name: params.get(name) for name in ("creds", "nkey", "user")}
    plain |= {name: params.get(f"tls_{name}") for name in ("ca", "cert", "key")}
    named, ways = _ways_in(**found, plain={name: Path(v) if v and name != "user" else v for name, v in plain.items()})
    if urls := tuple((params.get("nats_url") or "").split(",")) if params.get("nats_url") else named:
        return urls, ways
    folder = Path(params.get("store") or default_store())
    state = Store(folder).state() if folder.is_dir() else None
    return (state.url if state is not None else f"nats://localhost:{params.get('port') or 4222}",), Access()


def output(
    context: typer.Context,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only warnings, errors and the result.", rich_help_panel=OUTPUT)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.", rich_help_panel=OUTPUT)] = False,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain", envvar="SPYCTL_PLAIN", help="No display and no colours: plain lines.", rich_help_panel=OUTPUT
        ),
    ] = False,
    log_json: Annotated[
        bool,
        typer.Option(
            "--log-json",
            envvar="SPYCTL_LOG_JSON",
            help="What is said as JSON lines, on stderr.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Tracebacks of errors that nobody expected.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Have the process talk as the user wants; said before the command or after it."""
    talk = talk_of(context)
    talk.quiet |= quiet
    talk.verbose |= verbose
    talk.plain |= plain
    talk.as_json |= log_json
    talk.debug |= debug


def talk_of(context: typer.Context) -> Reporter:
    """Return what the process talks through."""
    talk = context.find_object(Reporter)
    assert talk is not None
    return talk
