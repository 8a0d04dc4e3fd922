"""Where the vendor's feed is, and of which stock."""

import json
from pathlib import Path
from typing import Any

import pytest

from spyctl.cli.feed_options import FeedOptions, spot_sources
from spyctl.errors import UsageError
from tests.conftest import Cli
from tests.support.records import T0, trade, write_file


def test_the_vendors_addresses_are_the_default() -> None:
    assert FeedOptions().websocket_url() == "wss://socket.massive.com"
    assert FeedOptions(delayed=True).websocket_url() == "wss://delayed.massive.com"
    assert FeedOptions().api_url() == "https://api.massive.com"
    assert FeedOptions(feed_url="ws://127.0.0.1:9", delayed=True).websocket_url() == "ws://127.0.0.1:9"


@pytest.mark.parametrize("url", ["http://a", "wss://", "wss://a/stocks", "wss://a#b", "wss://a:x", "nonsense"])
def test_what_does_not_name_a_websocket_server_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="does not name a server"):
        FeedOptions(feed_url=url).websocket_url()


@pytest.mark.parametrize(
    "options", [{"feed_url": "wss://u:pw@a"}, {"rest_url": "https://u:pw@a"}, {"feed_url": "wss://a?key=pw"}]
)
def test_a_url_with_a_secret_is_refused_without_showing_it(options: dict[str, Any]) -> None:
    feed = FeedOptions(**options)
    with pytest.raises(UsageError, match=r"holds (a user or password|more than an address)") as error:
        (feed.websocket_url if "feed_url" in options else feed.api_url)()
    assert "pw" not in error.value.message + error.value.remedy


@pytest.mark.parametrize(
    ("texts", "spots"),
    [
        ([], {}),
        (["ES"], {"SPX": "ES"}),
        (["es"], {"SPX": "ES"}),
        (["SPX=I:SPX"], {"SPX": "I:SPX"}),
        (["SPX=ES", "SPY=NQH6"], {"SPX": "ES", "SPY": "NQH6"}),
        (["SPY"], {"SPX": "SPY"}),
    ],
)
def test_the_spot_of_an_index_may_come_from_elsewhere(texts: list[str], spots: dict[str, str]) -> None:
    assert spot_sources(texts, ["SPY", "SPX"], ("ES.c.0", "NQH6")) == spots


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("NQ", "NQ is not taken in"),
        ("NDX=ES", "NDX is not among the symbols"),
        ("I:", "is not a source"),
        ("a b", "is not a source"),
        ("SPX=", "is not a source"),
    ],
)
def test_a_spot_that_nothing_brings_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        spot_sources([text], ["SPX"], ("ES.c.0",))


def settings_of(cli: Cli, **environment: str) -> dict[tuple[str, str], tuple[str, str]]:
    rows = json.loads(cli("config", "show", "--json", **environment).stdout)["settings"]
    return {(row["setting"], command): (row["value"], row["origin"]) for row in rows for command in row["commands"]}


@pytest.mark.integration
def test_a_replay_and_a_live_run_share_an_environment(cli: Cli, tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0)])
    both = {"SPYCTL_SYMBOL": "ES.c.0", "SPYCTL_UNDERLYING": "QQQ"}
    replay = cli("replay", "--dry-run", "--json", **both)
    assert replay.returncode == 0, replay.stderr
    assert json.loads(replay.stdout)["symbols"] == ["ES.c.0"]
    live = cli("live", "--sim", "--for", "1s", "--json", **both)
    assert live.returncode == 0, live.stderr
    assert "QQQ trades and quotes" in live.stderr


def test_the_symbol_of_a_replay_is_not_that_of_the_feed(cli: Cli) -> None:
    settings = settings_of(cli, SPYCTL_SYMBOL="ESZ5")
    assert settings["symbol", "replay"] == ("ESZ5", "SPYCTL_SYMBOL")
    assert settings["underlying", "live"] == settings["underlying", "probe"] == ("SPY", "default")
    settings = settings_of(cli, SPYCTL_UNDERLYING="QQQ")
    assert settings["symbol", "replay"] == ("", "default")
    assert settings["underlying", "live"] == ("QQQ", "SPYCTL_UNDERLYING")
