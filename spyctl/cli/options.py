"""The options that several commands share, with their environment variables."""

import inspect
import os
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints
from urllib.parse import urlsplit

import typer

from spyctl.errors import KeyRefusedError, UsageError

if TYPE_CHECKING:
    from spyctl.bus.access import Access
    from spyctl.bus.target import Target

DATABENTO_KEY = "DATABENTO_API_KEY"
API_KEYS = ("POLYGON_API_KEY", "MASSIVE_API_KEY")

SCHEMA_NAMES = {"trades": "trades", "trade": "trades", "mbp10": "mbp-10"}


def schema_name(text: str) -> str:
    """Read a schema in any spelling (``MBP-10``, ``mbp_10``, ``mbp10``); raises :class:`UsageError`."""
    compact = text.strip().lower().replace("-", "").replace("_", "").replace(" ", "")
    if compact not in SCHEMA_NAMES:
        raise UsageError(f"there is no schema {text!r} here", "--schema trades, or --schema mbp-10")
    return SCHEMA_NAMES[compact]


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

    How to get in was left in the context by :func:`takes_access`.
    """
    from spyctl.bus.embedded import default_store
    from spyctl.bus.target import Target

    if embedded and nats_url and context.get_parameter_source("nats_url").name == "COMMANDLINE":
        raise UsageError("--embedded and --nats-url exclude each other", "one of the two")
    named, access = context.meta[_ACCESS]()
    urls = nats_urls(nats_url, context) or named
    return Target(
        urls=urls, embedded=embedded, may_embed=may_embed, port=port, store=store or default_store(), access=access
    )


_ACCESS = "spyctl.access"


def takes_access(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that say how to get in at a NATS server; :func:`nats_target` reads them."""

    def file(option: str, variable: str, words: str) -> Any:
        return Annotated[
            Path | None,
            typer.Option(option, envvar=variable, metavar="FILE", help=words, rich_help_panel=ACCESS),
        ]

    added = {
        "nats_context": Annotated[
            str | None,
            typer.Option("--context", metavar="NAME", help="A context of the nats CLI.", rich_help_panel=ACCESS),
        ],
        "creds": file("--creds", "NATS_CREDS", "Credentials, as nsc writes them."),
        "nkey": file("--nkey", "NATS_NKEY", "Seed of an nkey."),
        "user": Annotated[
            str | None,
            typer.Option("--user", envvar="NATS_USER", metavar="NAME", help="User name.", rich_help_panel=ACCESS),
        ],
        "password_file": file("--password-file", "NATS_PASSWORD_FILE", "Its password; NATS_PASSWORD too."),
        "token_file": file("--token-file", "NATS_TOKEN_FILE", "A token; NATS_TOKEN too."),
        "tls_ca": file("--tls-ca", "NATS_CA", "Authority that signed the server."),
        "tls_cert": file("--tls-cert", "NATS_CERT", "Client certificate."),
        "tls_key": file("--tls-key", "NATS_KEY", "Its key."),
    }
    return _extended(command, added, lambda context, given: context.meta.update({_ACCESS: partial(_access, **given)}))


def _access(
    nats_context: str | None,
    creds: Path | None,
    nkey: Path | None,
    user: str | None,
    password_file: Path | None,
    token_file: Path | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> "tuple[tuple[str, ...], Access]":
    from spyctl.bus.access import Access, merged, read_context, read_secret

    def secret(path: Path | None, variable: str) -> str | None:
        return read_secret(path) if path is not None else os.environ.get(variable) or None

    given = Access(
        creds=creds,
        nkey=nkey,
        user=user,
        password=secret(password_file, "NATS_PASSWORD"),
        token=secret(token_file, "NATS_TOKEN"),
        ca=tls_ca,
        cert=tls_cert,
        key=tls_key,
    )
    if nats_context is None:
        return (), given
    urls, of_context = read_context(nats_context)
    return urls, merged(given, of_context)


def _extended(
    command: Callable[..., int], added: dict[str, Any], take: Callable[[Any, dict[str, Any]], None]
) -> Callable[..., int]:
    # A command with more options than its own; ``take`` is given the context and their values.
    own = inspect.signature(command)

    @wraps(command)
    def extended(context: typer.Context, **values: Any) -> int:
        take(context, {name: values.pop(name) for name in added})
        return command(**({"context": context} if "context" in own.parameters else {}), **values)

    rest = [one for one in own.parameters.values() if one.name != "context"]
    extra = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)
        for name, annotation in added.items()
    ]
    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    extended.__signature__ = own.replace(parameters=[first, *rest, *extra])  # type: ignore[attr-defined]
    hints = get_type_hints(command, include_extras=True)
    extended.__annotations__ = hints | {"context": typer.Context} | added
    return extended


def checked_prefix(prefix: str) -> str:
    """Check that a prefix is one token of a subject; raises :class:`UsageError`."""
    if prefix and not prefix.replace("_", "").replace("-", "").isalnum():
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


HOW, WHERE, ACCESS, OUTPUT = "How to play it", "Where to", "How to get in", "What to show"

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
Gateway = Annotated[
    str | None,
    typer.Option("--gateway", envvar="DATABENTO_GATEWAY", metavar="URL", help="Another address of Databento's API."),
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
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only warnings, errors and the result.", rich_help_panel=OUTPUT)
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.", rich_help_panel=OUTPUT)]
Schema = Annotated[
    list[str] | None,
    typer.Option("--schema", envvar="SPYCTL_SCHEMA", metavar="NAME", help="trades, mbp-10; both unless named."),
]
