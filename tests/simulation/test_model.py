"""The model of JetStream is held to nats-server: both answer the same scripts alike."""

import pytest

from spyctl.bus.connection import Connection, connect
from tests.simulation.scripts import compare
from tests.support.servers import NatsServer

pytestmark = pytest.mark.integration
SCRIPTS = 40
SOAK = 200


async def held_to(server: NatsServer, numbers: range) -> None:
    async def connected() -> Connection:
        return await connect([server.url])

    assert await compare(connected, server.restart, numbers) == []


async def test_the_model_answers_as_the_server_does(nats_server: NatsServer) -> None:
    await held_to(nats_server, range(SCRIPTS))


@pytest.mark.soak
async def test_the_model_answers_as_the_server_does_to_every_script(nats_server: NatsServer) -> None:
    for first in range(SCRIPTS, SOAK, SCRIPTS):
        await held_to(nats_server, range(first, first + SCRIPTS))
