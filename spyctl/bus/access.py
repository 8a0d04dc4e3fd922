"""Authentication at a named NATS server: credentials, nkey, user, token, TLS; contexts of the nats CLI.

Secrets come from files, the environment or a context, never from an option's value, and never appear in a message.
"""

import re
import ssl
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from platformdirs.unix import Unix

from spyctl.errors import IncompleteTlsError, NoDataError, UsageError, expanded

_CREDS = re.compile(r"-BEGIN NATS USER JWT-+\s+(\S+)\s+-+END.*-BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END", re.DOTALL)
_INBOX = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")
_DOMAIN = (
    "events go to whichever stream takes their subjects, so no domain can be promised",
    "a context, or --nats-url, of a server in that domain",
)
_STORE = ("only Windows has such a store of certificates", "ca, cert and key as PEM files")
# What a context may set and we cannot honour: why, and what to do.
_UNUSABLE = {
    "nsc": ("its credentials are asked of nsc", "nsc generate creds, and use the file that it writes"),
    "jetstream_domain": _DOMAIN,
    "jetstream_api_prefix": _DOMAIN,
    "socks_proxy": ("NATS is not reached over SOCKS", "a tunnel, such as ssh -L 4222:HOST:4222, and --nats-url"),
    "windows_cert_store": _STORE,
    "windows_cert_match": _STORE,
    "windows_ca_certs_match": _STORE,
}


@dataclass(frozen=True, slots=True)
class Access:
    """What a server may ask for; ``None`` where it is not given.

    ``creds`` (JWT and seed) and ``nkey`` (a seed) are files, as are ``ca``, ``cert`` and ``key`` (PEM); ``password``,
    ``token``, ``jwt`` and its ``seed`` are the secrets themselves, unless a file holds them. ``tls_first`` is for a
    server that greets only after the handshake; ``inbox_prefix`` is where answers may be received.
    """

    creds: Path | None = None
    nkey: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    token_file: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    jwt: str | None = field(default=None, repr=False)
    seed: str | None = field(default=None, repr=False)
    tls_first: bool | None = None
    inbox_prefix: str | None = None

    def secrets(self) -> Iterator[str]:
        """Yield the secrets themselves, for whoever has to keep them out of a text. Raises :class:`UsageError`."""
        yield from filter(None, (self._password(), self._token(), self.jwt, self.seed))

    def options(self) -> dict[str, Any]:
        """Return what nats-py's ``connect`` takes, from files as they are now.

        Raises :class:`UsageError` for a file that cannot be used.
        """
        options: dict[str, Any] = {}
        if (user_keys := self._user_keys()) is not None:
            jwt, seed = user_keys
            options |= {"user_jwt_cb": jwt.encode, "signature_cb": partial(_signed, seed)}
        if self.nkey is not None:
            _check_seed(read_secret(self.nkey), f"{self.nkey} holds no user seed (SU…)")
            options["nkeys_seed"] = str(self.nkey)
        if self.user is not None:
            options |= {"user": self.user, "password": self._password() or ""}
        if (token := self._token()) is not None:
            options["token"] = token
        if self.ca is not None or self.cert is not None or self.tls_first:
            options["tls"] = self._tls()
        if self.tls_first:
            options["tls_handshake_first"] = True
        if self.inbox_prefix is not None:
            options["inbox_prefix"] = self.inbox_prefix
        return options

    def _password(self) -> str | None:
        return read_secret(self.password_file) if self.password_file is not None else self.password

    def _token(self) -> str | None:
        return read_secret(self.token_file) if self.token_file is not None else self.token

    def _user_keys(self) -> tuple[str, str] | None:
        # The JWT of a user, and the seed that signs for it.
        if self.creds is None:
            return (self.jwt, self.seed) if self.jwt is not None and self.seed is not None else None
        parts = _CREDS.search(read_secret(self.creds))
        if parts is None:
            raise UsageError(f"{self.creds} is not a NATS credentials file", "the .creds file that nsc wrote")
        _check_seed(parts[2], f"{self.creds} is not a NATS credentials file: its seed is not one")
        return parts[1], parts[2]

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


def _signed(seed: str, nonce: str) -> bytes:
    import nkeys

    pair = nkeys.from_seed(bytearray(seed.encode()))  # type: ignore[no-untyped-call]
    try:
        return b64encode(pair.sign(nonce.encode()))
    finally:
        pair.wipe()


def read_secret(path: Path) -> str:
    """Read a file with a secret; the newline at its end does not count. Raises :class:`UsageError`."""
    try:
        return expanded(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise UsageError(f"{path} cannot be read ({reason})", "check the path and its permissions") from None


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
    _refuse_unusable(name, document)
    paths = {key: expanded(texts[key]) for key in ("creds", "nkey", "ca", "cert", "key") if key in texts}
    plain = {key: texts[key] for key in ("user", "password", "token", "inbox_prefix") if key in texts}
    renamed = {field: texts[key] for key, field in (("user_jwt", "jwt"), ("user_seed", "seed")) if key in texts}
    urls = tuple(url.strip() for url in texts.get("url", "").split(",") if url.strip())
    tls_first = True if document.get("tls_first") else None
    return urls, Access(**paths, **plain, **renamed, tls_first=tls_first)  # type: ignore[arg-type]


def _refuse_unusable(name: str, document: dict[str, Any]) -> None:
    # What cannot be honoured must not be passed over: the run would go somewhere else, or in the open.
    for key, (why, remedy) in _UNUSABLE.items():
        if document.get(key):
            raise UsageError(f"context {name} sets {key}: {why}", remedy)
    jwt, seed = document.get("user_jwt"), document.get("user_seed")
    if bool(jwt) != bool(seed) or not all(value is None or isinstance(value, str) for value in (jwt, seed)):
        raise UsageError(f"context {name}: user_jwt and user_seed go together", f"nats context edit {name}")
    if seed:
        _check_seed(seed, f"context {name}: its user_seed is not one (SU…)")
    if not _INBOX.fullmatch(str(document.get("inbox_prefix") or "_INBOX")):
        raise UsageError(f"context {name}: its inbox_prefix is not a subject", f"nats context edit {name}")


def _check_seed(seed: str, otherwise: str) -> None:
    import nkeys

    try:
        if not seed.startswith("SU"):
            raise ValueError
        nkeys.from_seed(bytearray(seed.encode())).wipe()  # type: ignore[no-untyped-call]
    except (nkeys.NkeysError, ValueError):
        raise UsageError(otherwise, "copy it again, whole and alone") from None


def merged(over: Access, under: Access) -> Access:
    """Combine two; what ``over`` gives takes precedence."""
    given = {item.name: value for item in fields(over) if (value := getattr(over, item.name)) is not None}
    return replace(under, **given)
