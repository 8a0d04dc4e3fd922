"""Which feeds a run takes in, and where its futures come from."""

from typing import Any

import pytest

from spyctl.cli.futures_options import FeedChoice, FuturesOptions, gateway_address
from spyctl.dbn.gateway.connection import HOST, PORT, Address
from spyctl.errors import UsageError

ALL = ("stocks", "options", "futures")


@pytest.mark.parametrize(
    ("options", "sim_es", "names", "symbols"),
    [
        ({}, False, ALL[:2], ()),
        ({"es": True}, False, ALL, ("ES.c.0",)),
        ({}, True, ALL, ("ES.c.0",)),
        ({"futures": ["NQ.c.0", "ESZ6", "ESZ6"]}, False, ALL, ("NQ.c.0", "ESZ6")),
        ({"es": True, "futures": ["NQ.c.0"]}, False, ALL, ("ES.c.0", "NQ.c.0")),
        ({"feeds": "stocks"}, False, ("stocks",), ()),
        ({"feeds": " Futures "}, False, ("futures",), ("ES.c.0",)),
        ({"feeds": "futures", "futures": ["NQ.c.0"]}, False, ("futures",), ("NQ.c.0",)),
        ({"feeds": "stocks", "es": True}, False, ("stocks", "futures"), ("ES.c.0",)),
    ],
)
def test_any_set_of_feeds(
    options: dict[str, Any], sim_es: bool, names: tuple[str, ...], symbols: tuple[str, ...]
) -> None:
    assert FuturesOptions(**options).choice(sim_es=sim_es) == FeedChoice(names, symbols)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"feeds": "options"}, "options without stocks"),
        ({"feeds": "bonds"}, "'bonds' is not a feed"),
        ({"feeds": ","}, "names no feed"),
        ({"futures": ["ES|c"]}, "'ES|c' is not a symbol"),
        ({"futures": [""]}, "'' is not a symbol"),
    ],
)
def test_what_is_no_set_of_feeds_is_told(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("|", r"\|")):
        FuturesOptions(**options).choice(sim_es=False)


def test_only_futures_are_another_vendors() -> None:
    assert FeedChoice().equity
    assert not FeedChoice(("futures",), ("ES.c.0",)).equity


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (None, Address(HOST, PORT)), ("", Address(HOST, PORT)), ("gw", Address("gw", PORT)),
        ("gw:9", Address("gw", 9)), ("[::1]:9", Address("::1", 9)),
    ],
)  # fmt: skip
def test_a_gateway_is_a_host_and_a_port(text: str | None, address: Address) -> None:
    assert gateway_address(text) == address


@pytest.mark.parametrize("text", ["gw:", "gw:x", "gw:0", "gw:65536", "tcp://gw:9", ":9", "me@gw:9"])
def test_what_is_no_address_of_a_gateway_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        gateway_address(text)
