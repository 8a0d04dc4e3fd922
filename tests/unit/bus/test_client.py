"""A server that says nonsense of itself is one that does not speak NATS."""

from typing import Any

import pytest

from spyctl.bus.connection import connect
from spyctl.errors import NotNatsError
from tests.support.greeting import greeting

NESTED = b"[" * 5_000 + b"]" * 5_000


@pytest.mark.parametrize(
    "info",
    [
        {"max_payload": "1048576"}, {"max_payload": [1]}, {"version": 2}, {"connect_urls": [7]}, {"connect_urls": 7},
        {"nonce": 5}, {"tls_required": "no"}, {"client_id": "x"}, b"INFO []\r\n", b"INFO 7\r\n", b"INFO {\r\n",
        b'INFO {"connect_urls":["[x"]}\r\n', b'INFO {"version":' + NESTED + b"}\r\n",
    ],
)  # fmt: skip
async def test_an_info_of_other_types_is_refused(info: Any) -> None:
    with greeting(info) as url, pytest.raises(NotNatsError, match="does not speak NATS"):
        await connect([url])


async def test_an_info_of_the_right_types_is_taken() -> None:
    with greeting({"version": "2.14.0"}) as url:
        connection = await connect([url])
        assert connection.server_version == "2.14.0"
        await connection.close()
