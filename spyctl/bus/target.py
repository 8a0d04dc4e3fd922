"""Which server to use: the one named, the one on the default port, or the embedded one."""

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from spyctl.bus.access import Access
from spyctl.bus.connection import Connection, connect
from spyctl.bus.embedded import DEFAULT_PORT, HOST, EmbeddedServer, Store, default_store
from spyctl.bus.keeper import OWNER
from spyctl.errors import NoJetStreamError, NoServerNamedError, NotNatsError

_LOCAL = (HOST, "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to publish: ``urls`` where the user named servers, else the default port or the embedded server.

    ``named_by`` is the setting that named them. ``embedded`` insists on the embedded server; ``port`` is its first
    choice and the default port that is looked at; ``may_embed`` is false where starting one unasked would be wrong.
    ``access`` holds the credentials.
    """

    urls: tuple[str, ...] = ()
    named_by: str = ""
    embedded: bool = False
    may_embed: bool = True
    port: int = DEFAULT_PORT
    store: Path = field(default_factory=default_store)
    access: Access = field(default_factory=Access)

    @property
    def default_url(self) -> str:
        """The server looked for where none is named."""
        return f"nats://localhost:{self.port}"


@dataclass(frozen=True, slots=True)
class Reached:
    """A connection, and the embedded server behind it, if it is that; ``why`` says why it is."""

    connection: Connection
    embedded: EmbeddedServer | None
    why: str


@asynccontextmanager
async def reach(target: Target, *, tell: Callable[[str], None] = lambda _: None) -> AsyncIterator[Reached]:
    """Connect to the server that a target means, starting the embedded one where that is called for.

    ``tell`` is called with a sentence where that takes long.

    Raises :class:`UnreachableError`, :class:`NoJetStreamError`, :class:`EmbeddedServerError`.
    """
    async with AsyncExitStack() as stack:
        embedded = None
        if target.urls and not target.embedded:
            urls, why = target.urls, ""
        else:
            server, why = _choice(target, tell)
            if server is None:
                urls = (target.default_url,)
            else:
                embedded = await stack.enter_async_context(server)
                assert embedded.state is not None
                urls = (embedded.state.url,)
        # What is given is meant for servers of somebody else.
        given = target.access if embedded is None else Access()
        connection = await _connect(urls, target, owner_access(urls, given, Store(target.store)))
        stack.push_async_callback(connection.close)
        await connection.jetstream_info()
        yield Reached(connection, embedded, why)


def would_start(target: Target) -> bool:
    """Tell whether reaching a target now would start the embedded server."""
    store = Store(target.store)
    if (target.urls and not target.embedded) or store.state() is not None or store.locked():
        return False
    return target.embedded or not _listens(target.port)


def _choice(target: Target, tell: Callable[[str], None]) -> tuple[EmbeddedServer | None, str]:
    server = EmbeddedServer(Store(target.store), target.port, tell=tell)
    if target.embedded:
        return server, "requested"
    state = server.store.state()
    if state is not None and state.port == target.port:
        return server, "none named"
    if state is None and server.store.locked():
        return server, "none named"  # being started or stopped: its port may answer, but only a share keeps it
    if _listens(target.port):
        return None, "none named"
    if not target.may_embed:
        raise NoServerNamedError(f"no NATS server named, and none on localhost:{target.port}")
    return server, f"none named, none on localhost:{target.port}"


def owner_access(urls: Sequence[str], access: Access, store: Store) -> Access:
    """Return how to authenticate: as its owner where the embedded server alone is named, and nothing is given."""
    given = any(value is not None for value in astuple(access)) or any("@" in url for url in urls)
    if given or not store.password_path.exists():
        return access
    state = store.state()
    if state is None or not all(_is_local(url, state.port) for url in urls):
        return access
    return Access(user=OWNER, password_file=store.password_path)


def _is_local(url: str, port: int) -> bool:
    parts = urlsplit(url if "//" in url else f"nats://{url}")
    return parts.hostname in _LOCAL and (parts.port or DEFAULT_PORT) == port


async def _connect(urls: tuple[str, ...], target: Target, access: Access) -> Connection:
    try:
        return await connect(urls, access=access)
    except NoJetStreamError as error:
        if target.urls:
            raise
        raise NotNatsError(error.message) from None


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("localhost", port), timeout=1):
            return True
    except OSError:
        return False
