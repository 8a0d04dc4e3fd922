"""Authentication at a named NATS server: credentials, nkey, user, token, TLS; contexts of the nats CLI.

Secrets come from files, the environment or a context, never from an option's value, and never appear in a message.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import orjson
from platformdirs.unix import Unix

from spyctl.errors import IncompleteTlsError, NoDataError, UsageError

_CREDS_MARK = "BEGIN NATS USER JWT"


@dataclass(frozen=True, slots=True)
class Access:
    """What a server may ask for; ``None`` where it is not given.

    ``creds`` (JWT and seed) and ``nkey`` (a seed) are files, as are ``ca``, ``cert`` and ``key`` (PEM); ``password``
    and ``token`` are the secrets themselves.
    """

    creds: Path | None = None
    nkey: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def secrets(self) -> Iterator[str]:
        """Yield the secrets themselves, for whoever has to keep them out of a text."""
        yield from filter(None, (self.password, self.token))

    def options(self) -> dict[str, Any]:
        """Return what nats-py's ``connect`` takes. Raises :class:`UsageError` for a file that cannot be used."""
        options: dict[str, Any] = {}
        if self.creds is not None:
            if _CREDS_MARK not in read_secret(self.creds):
                raise UsageError(f"{self.creds} is not a NATS credentials file", "the .creds file that nsc wrote")
            options["user_credentials"] = str(self.creds)
        if self.nkey is not None:
            if not read_secret(self.nkey).startswith("SU"):
                raise UsageError(f"{self.nkey} holds no user seed (SU…)", "a file with the seed alone")
            options["nkeys_seed"] = str(self.nkey)
        if self.user is not None:
            options |= {"user": self.user, "password": self.password or ""}
        if self.token is not None:
            options["token"] = self.token
        if self.ca is not None or self.cert is not None:
            options["tls"] = self._tls()
        return options

    def _tls(self) -> ssl.SSLContext:
        if (self.cert is None) != (self.key is None):
            raise IncompleteTlsError("a client certificate and its key go together")
        path = self.ca
        try:
            context = ssl.create_default_context(cafile=self.ca)
            path = self.cert
            if self.cert is not None and self.key is not None:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{path} cannot be used for TLS ({error.strerror or error})", "PEM files") from None
        return context


def read_secret(path: Path) -> str:
    """Read a file with a secret; the newline at its end does not count. Raises :class:`UsageError`."""
    try:
        return path.expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise UsageError(f"{path} cannot be read ({reason})", "check the path and your right to read it") from None


def contexts() -> dict[str, Path]:
    """List the contexts of the ``nats`` CLI by name."""
    folder = Unix("nats").user_config_path / "context"  # on macOS too, as the nats CLI does it
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def read_context(name: str) -> tuple[tuple[str, ...], Access]:
    """Read a context of the ``nats`` CLI: its servers and its credentials.

    Raises :class:`NoDataError` for an unknown name, :class:`UsageError` for a context that cannot be used.
    """
    known = contexts()
    if name not in known:
        there = ", ".join(known) or "none"
        raise NoDataError(f"there is no nats context {name!r}; there is {there}", "nats context ls")
    try:
        document = orjson.loads(known[name].read_bytes())
        texts = {key: str(value) for key, value in document.items() if value and isinstance(value, str)}
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"{known[name]} cannot be read ({error})", "nats context edit " + name) from None
    if "nsc" in texts:
        remedy = "nsc generate creds, and use the file that it writes"
        raise UsageError(f"context {name} asks nsc for its credentials", remedy)
    paths = {key: Path(texts[key]).expanduser() for key in ("creds", "nkey", "ca", "cert", "key") if key in texts}
    plain = {key: texts[key] for key in ("user", "password", "token") if key in texts}
    urls = tuple(url.strip() for url in texts.get("url", "").split(",") if url.strip())
    return urls, Access(**paths, **plain)  # type: ignore[arg-type]


def merged(over: Access, under: Access) -> Access:
    """Combine two; what ``over`` gives takes precedence."""
    given = {item.name: value for item in fields(over) if (value := getattr(over, item.name)) is not None}
    return replace(under, **given)
