"""The live gateway as ``probe`` sees it: good, refused, unreachable, silent, left out."""

import asyncio
from pathlib import Path

from spyctl.dbn.gateway.connection import Address
from spyctl.dbn.gateway.simulator import KEY, GatewaySimulator
from spyctl.errors import ExitCode
from spyctl.probe.futures import futures_check
from spyctl.probe.result import Advice, Verdict
from tests.support.gateway import Plan
from tests.support.probing import probe_request


async def test_a_good_key_is_let_in_and_gets_es(tmp_path: Path) -> None:
    async with GatewaySimulator(200).serving() as gateway:
        request = probe_request(tmp_path, databento_key=KEY, es_gateway=gateway.address)
        result = await futures_check(request)
    assert result.verdict is Verdict.PASS, result
    assert "DATABENTO_API_KEY (…ated) let in by 127.0.0.1; ES.c.0 subscribed" in result.text
    assert result.took_s is not None


async def test_a_wrong_key_is_exit_4_with_what_to_do(tmp_path: Path) -> None:
    async with GatewaySimulator(0).serving() as gateway:
        request = probe_request(tmp_path, databento_key="db-wrong-key", es_gateway=gateway.address)
        result = await futures_check(request)
    assert (result.verdict, result.code) == (Verdict.FAIL, ExitCode.KEY)
    assert result.text == "Databento refuses the key: CRAM authentication failed"
    assert result.error is not None


async def test_a_connection_too_many_is_told(tmp_path: Path) -> None:
    async with GatewaySimulator(0, script=Plan(most=0)).serving() as gateway:
        request = probe_request(tmp_path, databento_key=KEY, es_gateway=gateway.address)
        result = await futures_check(request)
    assert (result.verdict, result.text) == (Verdict.FAIL, "User has reached their open connection limit")


async def test_nobody_there_is_told_with_the_address(tmp_path: Path) -> None:
    request = probe_request(tmp_path, databento_key=KEY, es_gateway=Address("127.0.0.1", 1))
    result = await futures_check(request)
    assert (result.verdict, result.code, result.advice) == (Verdict.FAIL, ExitCode.FAILED, Advice.CHECK_ES_GATEWAY)
    assert result.text == "127.0.0.1:1 refuses the connection"


async def test_a_gateway_that_says_nothing_is_not_waited_for_long(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    result = await futures_check(probe_request(tmp_path, databento_key=KEY, es_gateway=address), answer_s=0.1)
    assert (result.verdict, result.text) == (Verdict.FAIL, f"{address} does not answer")
    server.close()


async def test_it_is_left_out_without_a_key_and_where_only_rest_is_wanted(tmp_path: Path) -> None:
    assert (await futures_check(probe_request(tmp_path))).verdict is Verdict.SKIP
    request = probe_request(tmp_path, databento_key=KEY, rest_only=True)
    assert (await futures_check(request)).text == "not asked for"
