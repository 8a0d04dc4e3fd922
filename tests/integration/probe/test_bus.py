"""What a run would be refused fails the check that is about it, and the run is refused indeed."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from spyctl.bus.access import Access
from spyctl.bus.connection import connect
from spyctl.bus.publishing import RunRequest, publishing
from spyctl.bus.stream import desired_config
from spyctl.bus.target import Target
from spyctl.errors import BusError, ExitCode
from spyctl.probe.bus import bus_checks
from spyctl.probe.request import Findings
from spyctl.probe.result import CheckResult, Verdict
from spyctl.timing.instants import HOUR
from tests.support.identities import operator
from tests.support.probing import probe_request
from tests.support.servers import NatsServer

pytestmark = pytest.mark.integration
BUCKET = {"name": "KV_SPYCTL", "subjects": ["$KV.SPYCTL.>"], "max_msgs_per_subject": 1}
ANN = Access(user="ann", password="pw")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    made = NatsServer(tmp_path / "nats")
    yield made
    made.stop()


def account(jetstream: str = "enabled", permissions: str = "{}") -> str:
    user = f"user: ann, password: pw, permissions: {permissions}"
    return f"accounts {{ A {{ users: [{{ {user} }}], jetstream: {jetstream} }} }}"


async def checked(server: NatsServer, tmp_path: Path, access: Access) -> dict[str, CheckResult]:
    request = probe_request(tmp_path, target=Target(urls=(server.url,), access=access))
    async with AsyncExitStack() as stack:
        return {result.name: result for result in await bus_checks(request, Findings(), stack)}


async def run(server: NatsServer, access: Access) -> None:
    connection = await connect([server.url], access=access)
    try:
        async with publishing(connection, RunRequest(command="replay", leased=["market.gaps"])):
            pass
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("config", "name", "text"),
    [
        (account("{ max_store: 0 }"), "jetstream", "may store nothing more on disk"),
        (account("{ max_streams: 1 }"), "jetstream", "room for 1 of the streams MARKET_DATA and KV_SPYCTL"),
        (account("{ max_store: 1G, max_bytes: true }"), "jetstream", "asks for max_bytes of a stream"),
        (account(permissions='{ publish: { deny: "$KV.>" } }'), "stream", "may not publish to $KV.SPYCTL.run.id"),
        (account(permissions='{ publish: { deny: "$KV.SPYCTL.lease.market.gaps" } }'), "stream", "lease.market.gaps"),
        (account(permissions='{ publish: { deny: "$JS.API.STREAM.CREATE.KV_SPYCTL" } }'), "stream", "CREATE.KV_SPYCTL"),
        (account(permissions='{ publish: { deny: "$JS.API.STREAM.MSG.GET.>" } }'), "stream", "MSG.GET.KV_SPYCTL"),
        (
            account(permissions='{ publish: { deny: "$JS.API.STREAM.CREATE.>" } }'),
            "stream",
            "$JS.API.STREAM.CREATE.MARKET",
        ),
        (account(permissions='{ publish: { deny: "$JS.API.STREAM.INFO.>" } }'), "jetstream", "permissions violation"),
    ],
)
async def test_what_the_account_does_not_allow(
    server: NatsServer, tmp_path: Path, config: str, name: str, text: str
) -> None:
    server.extra = config
    server.start()
    result = (await checked(server, tmp_path, ANN))[name]
    assert (result.verdict, result.code) == (Verdict.FAIL, ExitCode.NATS), result.text
    assert text in result.text
    with pytest.raises(BusError):
        await run(server, ANN)


async def test_a_stream_that_has_to_be_updated_and_may_not_be(server: NatsServer, tmp_path: Path) -> None:
    server.extra = account(permissions='{ publish: { deny: "$JS.API.STREAM.UPDATE.>" } }')
    server.start()
    connection = await connect([server.url], access=ANN)
    await connection.api("STREAM.CREATE.MARKET_DATA", desired_config() | {"max_age": HOUR})
    await connection.close()
    result = (await checked(server, tmp_path, ANN))["stream"]
    assert (result.verdict, "STREAM.UPDATE.MARKET_DATA" in result.text) == (Verdict.FAIL, True), result.text
    with pytest.raises(BusError):
        await run(server, ANN)


async def test_a_run_needs_no_list_of_streams(server: NatsServer, tmp_path: Path) -> None:
    server.extra = account(permissions='{ publish: { deny: "$JS.API.STREAM.NAMES" } }')
    server.start()
    assert (await checked(server, tmp_path, ANN))["stream"].verdict is Verdict.PASS
    await run(server, ANN)


async def test_subjects_that_may_not_be_published(server: NatsServer, tmp_path: Path) -> None:
    server.extra = account(permissions='{ publish: { deny: ["market.stocks.*", "market.gaps"] } }')
    server.start()
    result = (await checked(server, tmp_path, ANN))["stream"]
    assert result.verdict is Verdict.FAIL
    assert result.text == "we may not publish to market.stocks.trades, market.stocks.quotes, market.gaps"


async def test_rights_that_the_server_does_not_tell_are_a_warning(server: NatsServer, tmp_path: Path) -> None:
    server.extra = account(permissions='{ publish: { allow: ["$JS.API.>", "$KV.>", "market.>"] } }')
    server.start()
    result = (await checked(server, tmp_path, ANN))["stream"]
    assert (result.verdict, "the server does not tell" in result.text) == (Verdict.WARN, True)
    await run(server, ANN)


@pytest.mark.parametrize(("tiers", "text"), [({"R1": 1}, "KV_SPYCTL in tier R1"), ({"R3": 9}, "limits for R3 alone")])
async def test_limits_of_tiers(server: NatsServer, tmp_path: Path, tiers: dict[str, int], text: str) -> None:
    limits = {tier: {"disk_storage": 1 << 30, "mem_storage": 0, "streams": most} for tier, most in tiers.items()}
    made = operator(tiered_limits=limits)
    server.extra = made.config
    server.start()
    access = Access(jwt=made.jwt, seed=made.seed)
    result = (await checked(server, tmp_path, access))["jetstream"]
    assert (result.verdict, text in result.text) == (Verdict.FAIL, True), result.text
    with pytest.raises(BusError):
        await run(server, access)


async def test_a_tier_that_has_room_is_good(server: NatsServer, tmp_path: Path) -> None:
    made = operator(tiered_limits={"R1": {"disk_storage": 3 << 30, "mem_storage": 0, "streams": 9}})
    server.extra = made.config
    server.start()
    access = Access(jwt=made.jwt, seed=made.seed)
    results = await checked(server, tmp_path, access)
    assert {result.verdict for result in results.values()} == {Verdict.PASS}
    assert results["jetstream"].text == "on, 3.22 GB free"
    await run(server, access)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"name": "OTHER", "subjects": ["market.stocks.>"]}, "stream OTHER at nats://"),
        ({"name": "OTHER", "subjects": ["$KV.>"]}, "already captures $KV.SPYCTL.>"),
        ({"name": "KV_SPYCTL", "subjects": ["any"]}, "KV_SPYCTL is no bucket"),
        (BUCKET | {"max_msg_size": 50}, "KV_SPYCTL takes records of 50 bytes at most; spyctl needs 16,384"),
        (BUCKET | {"max_bytes": 100, "discard": "new"}, "KV_SPYCTL is full: it takes no more than 100 bytes"),
        (
            {"name": "MARKET_DATA", "subjects": ["market.>"], "max_msg_size": 1_000},
            "takes messages of 1,000 bytes at most",
        ),
    ],
)
async def test_streams_that_are_in_the_way(
    server: NatsServer, tmp_path: Path, config: dict[str, Any], text: str
) -> None:
    server.start()
    connection = await connect([server.url])
    await connection.api(f"STREAM.CREATE.{config['name']}", config)
    await connection.close()
    result = (await checked(server, tmp_path, Access()))["stream"]
    assert (result.verdict, result.code, text in result.text) == (Verdict.FAIL, ExitCode.NATS, True), result.text
    with pytest.raises(BusError):
        await run(server, Access())
