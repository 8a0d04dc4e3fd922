"""The options of commands that use NATS: which server, and how to authenticate there."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.origin import Origin, is_flag, origin_of
from spyctl.cli.options import AUTHENTICATION, DESTINATION
from spyctl.errors import UsageError
from spyctl.terminal.outgoing import learn, learn_url, mask_url

if TYPE_CHECKING:
    from spyctl.bus.access import Access
    from spyctl.bus.target import Target

DEFAULT_PORT = 4222
_OWN_VARIABLES = "nats://HOST:4222; user and password in NATS_USER and NATS_PASSWORD"
_SCHEMES = ("nats", "tls", "ws", "wss")
_URL_ORIGINS = {Origin.FLAG: "--nats-url", Origin.ENVIRONMENT: "NATS_URL"}


def _prefix(prefix: str) -> str:
    if prefix and not re.fullmatch(r"[A-Za-z0-9_-]+", prefix):
        raise UsageError(f"--prefix {prefix!r} is not a subject token", "letters, digits, - and _ only")
    return prefix


def _credential(option: str, variable: str, help_text: str) -> Any:
    return typer.Option(option, envvar=variable, metavar="FILE", help=help_text, rich_help_panel=AUTHENTICATION.seldom)


Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        envvar="SPYCTL_STORE",
        metavar="DIR",
        help="The embedded server's folder; default: ~/.local/share/spyctl/nats.",
        rich_help_panel=DESTINATION.seldom,
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
        help="The embedded server's preferred port.",
        rich_help_panel=DESTINATION.seldom,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions:
    """Which server to use, and how to authenticate there; ``None`` where an option is not given."""

    nats_url: Annotated[
        str | None,
        typer.Option(
            "--nats-url",
            envvar="NATS_URL",
            metavar="URL,…",
            help="NATS servers; default: localhost:4222, else the embedded server.",
            rich_help_panel=DESTINATION,
        ),
    ] = None
    embedded: Annotated[
        bool,
        typer.Option(
            "--embedded", help="Use the embedded server even if another one answers.", rich_help_panel=DESTINATION
        ),
    ] = False
    store: Store = None
    port: Port = DEFAULT_PORT
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix",
            envvar="SPYCTL_PREFIX",
            metavar="P",
            help="Publish as P.market.… into P_MARKET_DATA.",
            rich_help_panel=DESTINATION,
            callback=_prefix,
        ),
    ] = ""
    nats_context: Annotated[
        str | None,
        typer.Option(
            "--context",
            metavar="NAME",
            help="A context of the nats CLI.",
            rich_help_panel=AUTHENTICATION.seldom,
            autocompletion=complete.contexts,
        ),
    ] = None
    creds: Annotated[Path | None, _credential("--creds", "NATS_CREDS", "Credentials file, as nsc writes it.")] = None
    nkey: Annotated[Path | None, _credential("--nkey", "NATS_NKEY", "Seed of an nkey.")] = None
    user: Annotated[
        str | None,
        typer.Option(
            "--user", envvar="NATS_USER", metavar="NAME", help="User name.", rich_help_panel=AUTHENTICATION.seldom
        ),
    ] = None
    password_file: Annotated[
        Path | None, _credential("--password-file", "NATS_PASSWORD_FILE", "Password; or set NATS_PASSWORD.")
    ] = None
    token_file: Annotated[Path | None, _credential("--token-file", "NATS_TOKEN_FILE", "Token; or set NATS_TOKEN.")] = (
        None
    )
    tls_ca: Annotated[
        Path | None, _credential("--tls-ca", "NATS_CA", "Authority that signed the server's certificate.")
    ] = None
    tls_cert: Annotated[Path | None, _credential("--tls-cert", "NATS_CERT", "Client certificate.")] = None
    tls_key: Annotated[Path | None, _credential("--tls-key", "NATS_KEY", "Its private key.")] = None

    def target(self, context: Any, *, may_embed: bool = True) -> "Target":
        """Return the server that is meant; ``context`` is the command's :class:`typer.Context`.

        ``may_embed`` is false where the embedded server must not be started unasked. Raises :class:`UsageError` where
        the options contradict each other or a file with a secret cannot be read.
        """
        from spyctl.bus.embedded import default_store
        from spyctl.bus.target import Target

        on_command_line = is_flag(context, "nats_url")
        if self.embedded and self.nats_url and on_command_line:
            raise UsageError("--embedded and --nats-url exclude each other", "one of the two")
        context_urls, access = self._access()
        urls = nats_urls(self.nats_url, on_command_line=on_command_line)
        named_by = "--context" if context_urls else ""
        if urls:
            named_by = _URL_ORIGINS.get(origin_of(context, "nats_url"), "nats_url")
        return Target(
            urls=urls or context_urls,
            named_by=named_by,
            embedded=self.embedded,
            may_embed=may_embed,
            port=self.port,
            store=self.store or default_store(),
            access=access,
        )

    def _access(self) -> "tuple[tuple[str, ...], Access]":
        # The servers that the context of the nats CLI names, and how to authenticate.
        from spyctl.bus.access import Access, merged, read_context

        given = Access(
            creds=self.creds,
            nkey=self.nkey,
            user=self.user,
            password=os.environ.get("NATS_PASSWORD") or None,
            token=os.environ.get("NATS_TOKEN") or None,
            password_file=self.password_file,
            token_file=self.token_file,
            ca=self.tls_ca,
            cert=self.tls_cert,
            key=self.tls_key,
        )
        urls: tuple[str, ...] = ()
        if self.nats_context is not None:
            urls, access = read_context(self.nats_context)
            given = merged(given, access)
        for secret in given.secrets():
            learn(secret)
        for url in urls:
            learn_url(url)
        return urls, given

    def running_server(self) -> "tuple[tuple[str, ...], Access]":
        """Return the URLs of the server that is meant, if it runs, and how to authenticate; starts nothing."""
        from spyctl.bus.access import Access
        from spyctl.bus.embedded import Store as EmbeddedStore
        from spyctl.bus.embedded import default_store

        context_urls, access = self._access()
        if urls := nats_urls(self.nats_url, on_command_line=False) or context_urls:
            return urls, access
        folder = self.store or default_store()
        state = EmbeddedStore(folder).state() if folder.is_dir() else None
        return (state.url if state is not None else f"nats://localhost:{self.port}",), Access()


def nats_urls(text: str | None, *, on_command_line: bool) -> tuple[str, ...]:
    """Split the text of ``--nats-url``; a password is accepted anywhere but on the command line.

    Raises :class:`UsageError`.
    """
    urls = tuple(url.strip() for url in (text or "").split(",") if url.strip())
    for url in urls:
        full = url if "//" in url else f"nats://{url}"
        if on_command_line and "@" in full:
            raise UsageError("--nats-url holds a user or password, which everybody can see", "export NATS_URL=…")
        if not _is_nats_url(full):
            if mask_url(text or "") != text:  # who knows where the password ends
                raise UsageError("what names the NATS server is not a NATS URL", _OWN_VARIABLES)
            raise UsageError(f"{url!r} is not a NATS URL", "nats://HOST:4222")
    return urls


def _is_nats_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.scheme in _SCHEMES and (parts.port or 1) > 0
    except ValueError:
        return False
    # A password with / or # in it ends the host too early; what is left of it must not be shown.
    return good and url.count("@") == parts.netloc.count("@") <= 1 and not re.search(r"\s", url)


def complete_runs(ctx: Any, incomplete: str) -> list[str]:
    """Offer the replays that the server knows, newest first, where one answers at once."""
    import asyncio

    from spyctl.bus.runs import known_runs

    try:
        urls, access = half_typed(ctx.params).running_server()
        return [run for run in asyncio.run(known_runs(urls, access)) if run.startswith(incomplete)]
    except Exception:  # whatever is wrong, the command itself will say so
        return []


def half_typed(params: Mapping[str, Any]) -> NatsOptions:
    """Return the options of a command line that is being typed."""
    names = [field.name for field in fields(NatsOptions)]
    return NatsOptions(**{name: params[name] for name in names if params.get(name) is not None})
