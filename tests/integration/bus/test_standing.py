"""What a server no longer permits, or refuses for a while: told at once, in its words, and mended where it can be."""

import time
from collections.abc import Iterator
from pathlib import Path

import nats.js.errors
import pytest

from spyctl.bus.access import Access
from spyctl.bus.client import DeniedError
from spyctl.bus.connection import Connection, connect
from spyctl.errors import AccessDeniedError, UnreachableError
from tests.support.identities import creds, operator, reload, user
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
AT_ONCE_S = 3.0  # less than any timeout of a request


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    made = NatsServer(tmp_path / "nats", extra=user())
    yield made
    made.stop()


async def enter(server: NatsServer, extra: str) -> Connection:
    server.extra = extra
    server.start()
    return await connect([server.url], access=Access(user="ann", password="pw"))


async def test_a_subject_that_may_not_be_published_ends_the_use_of_the_connection(server: NatsServer) -> None:
    connection = await enter(server, user(publish="market.>"))
    broken: list[bool] = []
    connection.on_disconnect(lambda: broken.append(True))
    assert connection.connected
    await connection.write(b"PUB market.futures.trades 1\r\n1\r\n")
    await eventually(lambda: bool(broken))
    assert not connection.connected
    words = 'permissions violation for publish to "market.futures.trades"'
    assert words in connection.trouble
    with pytest.raises(AccessDeniedError, match=words):
        await connection.wait_connected(60)
    assert await connection.jetstream_info()  # what is permitted goes on, so that the run can be ended in order
    await connection.close()


async def test_what_may_not_be_asked_is_refused_at_once_and_costs_itself_alone(server: NatsServer) -> None:
    connection = await enter(server, user(publish="$JS.API.CONSUMER.>"))
    begun_s = time.monotonic()
    with pytest.raises(AccessDeniedError, match=r'publish to "\$js.api.consumer.list.a"'):
        await connection.api("CONSUMER.LIST.A", {})
    assert time.monotonic() - begun_s < AT_ONCE_S
    assert connection.connected
    await connection.close()


async def test_a_bucket_that_may_not_be_used_is_refused_at_once(server: NatsServer) -> None:
    connection = await enter(server, user(publish="$KV.>"))
    bucket = await connection.jetstream().create_key_value(bucket="B")
    begun_s = time.monotonic()
    with pytest.raises(DeniedError, match="permissions violation for publish"):
        await bucket.put("a", b"1")
    with pytest.raises(nats.js.errors.KeyNotFoundError):
        await bucket.get("a")
    assert time.monotonic() - begun_s < AT_ONCE_S
    await connection.close()


async def test_a_subscription_that_is_not_permitted_is_refused(server: NatsServer) -> None:
    connection = await enter(server, user(subscribe="private.>"))

    async def ignore(_: object) -> None:
        pass

    for i in range(300):
        with pytest.raises(AccessDeniedError, match=rf'subscription to "private.{i}"'):
            await connection.subscribe(f"private.{i}", ignore)
    await (await connection.subscribe("public.a", ignore))()
    assert connection.connected
    await connection.close()


async def test_answers_that_may_not_be_received_are_told_at_once(server: NatsServer) -> None:
    connection = await enter(server, user(subscribe="_INBOX.>"))
    begun_s = time.monotonic()
    for _ in range(2):
        with pytest.raises(AccessDeniedError, match="permissions violation for subscription"):
            await connection.jetstream_info()
    assert time.monotonic() - begun_s < AT_ONCE_S
    await connection.close()


async def test_a_password_that_changes_is_an_outage_until_its_file_does_too(server: NatsServer, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("pw\n")
    server.start()
    connection = await connect([server.url], access=Access(user="ann", password_file=path))
    told: list[str] = []
    connection.on_refusal(told.append)
    reload(server, user("other"))
    await eventually(lambda: "refuses us: authorization violation" in connection.trouble)
    with pytest.raises(AccessDeniedError, match=r"did not come back within 0.1 s \(.* refuses us: authorization"):
        await connection.wait_connected(0.1)
    path.unlink()  # while somebody writes it anew
    await eventually(lambda: "password cannot be read" in connection.trouble)
    path.write_text("other\n")
    await connection.wait_connected(20)
    assert connection.trouble == ""
    assert [text.partition("refuses us: ")[2] for text in told] == [
        "authorization violation; tried again until it lets us in"
    ]
    assert await connection.jetstream_info()
    await connection.close()


async def test_credentials_that_expire_are_read_anew(tmp_path: Path) -> None:
    made, path = operator(), tmp_path / "user.creds"
    server = NatsServer(tmp_path / "nats", extra=made.config).start()
    try:
        path.write_text(creds(made.user_jwt(exp=int(time.time()) + 2), made.seed))
        connection = await connect([server.url], access=Access(creds=path))
        await eventually(lambda: "refuses us" in connection.trouble)
        path.write_text("")  # half written: nothing may hang
        await eventually(lambda: "is not a NATS credentials file" in connection.trouble)
        path.write_text(made.creds)
        await connection.wait_connected(20)
        assert await connection.jetstream_info()
        await connection.close()
    finally:
        server.stop()


async def test_a_server_that_is_away_is_no_refusal(server: NatsServer) -> None:
    connection = await enter(server, user())
    server.stop()
    await eventually(lambda: "no NATS server answers" in connection.trouble)
    with pytest.raises(UnreachableError, match=r"did not come back within 0.1 s \(no NATS server answers"):
        await connection.wait_connected(0.1)
    await connection.close()
