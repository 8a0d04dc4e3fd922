"""Identities for NATS servers that want them: nkeys, and the JWTs of an operator, an account and a user."""

import base64
import hashlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nkeys

from tests.support.servers import NatsServer


def new_seed(kind: int) -> bytes:
    return nkeys.encode_seed(os.urandom(32), kind)


def public(seed: bytes) -> str:
    return nkeys.from_seed(bytearray(seed)).public_key.decode()


def token(issuer: bytes, subject: bytes, name: str, nats: dict[str, Any], **claims: Any) -> str:
    """Write a JWT of NATS (version 2), signed by ``issuer``; ``exp`` is when it expires (Unix s)."""

    def part(document: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).rstrip(b"=").decode()

    claims |= {"iat": 1_700_000_000, "iss": public(issuer), "name": name, "sub": public(subject), "nats": nats}
    digest = hashlib.sha256(json.dumps(claims).encode()).digest()
    claims["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
    signed = f"{part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{part(claims)}"
    signature = nkeys.from_seed(bytearray(issuer)).sign(signed.encode())
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@dataclass(frozen=True)
class Operator:
    """``config`` is what a server needs, ``creds`` what its user has, which are ``jwt`` and ``seed``.

    ``user_jwt`` makes the JWT of that user anew, with further claims.
    """

    config: str
    jwt: str
    seed: str
    user_jwt: Callable[..., str]

    @property
    def creds(self) -> str:
        return creds(self.jwt, self.seed)


def creds(jwt: str, seed: str) -> str:
    """Write a credentials file."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def operator(**jetstream: Any) -> Operator:
    """Make an operator, an account and a user; ``jetstream`` replaces the account's limits, which are none."""
    operator, system, account, user = (
        new_seed(kind)
        for kind in (
            nkeys.PREFIX_BYTE_OPERATOR,
            nkeys.PREFIX_BYTE_ACCOUNT,
            nkeys.PREFIX_BYTE_ACCOUNT,
            nkeys.PREFIX_BYTE_USER,
        )
    )
    limits = {
        "subs": -1,
        "data": -1,
        "payload": -1,
        "imports": -1,
        "exports": -1,
        "wildcards": True,
        "conn": -1,
        "leaf": -1,
    }
    storage = jetstream or {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    about = {"type": "account", "version": 2}
    accounts = {
        public(system): token(operator, system, "SYS", about | {"limits": limits}),
        public(account): token(operator, account, "A", about | {"limits": limits | storage}),
    }
    top = token(operator, operator, "O", {"type": "operator", "version": 2, "system_account": public(system)})

    def user_jwt(**claims: Any) -> str:
        rights = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
        return token(account, user, "u", rights, **claims)

    preload = "\n".join(f"  {name}: {jwt}" for name, jwt in accounts.items())
    config = (
        f"operator: {top}\nsystem_account: {public(system)}\nresolver: MEMORY\nresolver_preload {{\n{preload}\n}}\n"
    )
    return Operator(config, user_jwt(), user.decode(), user_jwt)


def user(password: str = "pw", *, publish: str = "", subscribe: str = "") -> str:
    """Return the configuration of a server that lets one user in, ``ann``, who may not do some things."""
    rights = (f'publish: {{ deny: "{publish}" }} ' if publish else "") + (
        f'subscribe: {{ deny: "{subscribe}" }}' if subscribe else ""
    )
    permissions = f", permissions: {{ {rights} }}" if rights else ""
    return f"authorization {{ users: [ {{ user: ann, password: {password}{permissions} }} ] }}"


def reload(server: NatsServer, extra: str) -> None:
    """Have a server that runs take another configuration instead of its ``extra``."""
    config = server.folder / "server.conf"
    config.write_text(config.read_text().replace(server.extra, extra))
    server.extra = extra
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGHUP)
