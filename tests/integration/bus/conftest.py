"""What several tests of the bus need."""

from collections.abc import AsyncIterator, Iterator

import pytest

from spyctl.bus.connection import Connection, connect
from tests.support.embedded import User
from tests.support.servers import NatsServer


@pytest.fixture
async def connection(nats_server: NatsServer) -> AsyncIterator[Connection]:
    connection = await connect([nats_server.url])
    yield connection
    await connection.close()


@pytest.fixture
def users() -> Iterator[list[User]]:
    """Processes that a test starts, all killed at its end."""
    users: list[User] = []
    yield users
    for user in users:
        user.end(kill=True)
