"""Which streams fit, which are ours, who else is publishing."""

import time
from typing import Any

import pytest

from spyctl.bus.connection import Connection
from spyctl.bus.store_mode import StoreMode
from spyctl.bus.stream import MAX_AGE_NS, desired_config, ensure_stream, refuse_busy
from spyctl.errors import OtherSourceError, OverlappingStreamError, UnfitStreamError
from spyctl.market.subjects import SUBJECTS
from spyctl.timing.instants import SECOND

pytestmark = pytest.mark.integration


async def test_a_new_stream_has_the_configuration_of_the_contract(connection: Connection) -> None:
    stream = await ensure_stream(connection)

    config = (await connection.api("STREAM.INFO.MARKET_DATA"))["config"]
    assert (stream.created, stream.owned, stream.warnings) == (True, True, ())
    assert config["subjects"] == ["market.*", "market.*.*"]
    assert (config["retention"], config["storage"], config["max_age"]) == ("limits", "file", 86_400 * SECOND)
    assert (await ensure_stream(connection)).created is False


async def test_a_prefix_has_a_stream_of_its_own(connection: Connection) -> None:
    await ensure_stream(connection)
    stream = await ensure_stream(connection, "DRILL")
    config = (await connection.api("STREAM.INFO.DRILL_MARKET_DATA"))["config"]
    assert stream.name == "DRILL_MARKET_DATA"
    assert config["subjects"] == ["DRILL.market.*", "DRILL.market.*.*"]


async def test_a_rehearsal_may_have_a_stream_that_writes_later(connection: Connection) -> None:
    stream = await ensure_stream(connection, "DRILL", StoreMode.FAST)
    config = (await connection.api("STREAM.INFO.DRILL_MARKET_DATA"))["config"]
    assert (config["persist_mode"], config["storage"], stream.batched) == ("async", "file", True)
    again = [await ensure_stream(connection, "DRILL", mode) for mode in StoreMode]
    loss = "acknowledges before it writes: where its server is killed, the last of what it acknowledged may be lost"
    assert {each.warnings for each in (stream, *again)} == {(f"DRILL_MARKET_DATA {loss}",)}


async def test_a_stream_that_keeps_messages_safely_stays_so(connection: Connection) -> None:
    await ensure_stream(connection, "DRILL")
    with pytest.raises(UnfitStreamError, match="was made to keep messages safely, which cannot be changed") as caught:
        await ensure_stream(connection, "DRILL", StoreMode.FAST)
    assert "nats stream rm DRILL_MARKET_DATA (it holds 0 messages)" in caught.value.remedy


async def test_our_own_stream_is_updated_and_keeps_its_size_limit(connection: Connection) -> None:
    await connection.api("STREAM.CREATE.MARKET_DATA", desired_config() | {"max_age": SECOND * 600, "max_bytes": 10**9})
    stream = await ensure_stream(connection)
    config = (await connection.api("STREAM.INFO.MARKET_DATA"))["config"]
    assert (config["max_age"], config["max_bytes"]) == (MAX_AGE_NS, 10**9)
    assert stream.warnings == ("MARKET_DATA keeps only the newest 1,000 MB",)


async def test_a_stream_of_somebody_else_that_fits_is_used_unchanged(connection: Connection) -> None:
    theirs = desired_config() | {"metadata": {}, "max_age": 0, "max_msgs": 5_000, "subjects": ["market.>"]}
    await connection.api("STREAM.CREATE.MARKET_DATA", theirs)
    stream = await ensure_stream(connection)
    config = (await connection.api("STREAM.INFO.MARKET_DATA"))["config"]
    assert (stream.owned, config["max_age"], config["subjects"]) == (False, 0, ["market.>"])
    assert "5,000 messages" in stream.warnings[0]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"storage": "memory"}, "keeps messages in memory"),
        ({"retention": "workqueue"}, "workqueue retention"),
        ({"no_ack": True}, "does not acknowledge"),
        ({"max_msgs_per_subject": 10}, "10 messages a subject"),
        ({"subjects": ["market.*"]}, r"does not capture market\.\*\.\*"),
        ({"subject_transform": {"src": "market.>", "dest": "m.>"}}, "transforms subjects"),
    ],
)
async def test_a_stream_that_does_not_fit_is_an_error_naming_the_difference(
    connection: Connection, changes: dict[str, Any], difference: str
) -> None:
    await connection.api("STREAM.CREATE.MARKET_DATA", desired_config() | changes)
    with pytest.raises(UnfitStreamError, match=difference) as caught:
        await ensure_stream(connection)
    assert "nats stream rm MARKET_DATA (it holds 0 messages)" in caught.value.remedy


async def test_a_sealed_stream_and_a_mirror_do_not_fit(connection: Connection) -> None:
    await connection.api("STREAM.CREATE.MARKET_DATA", desired_config())
    config = (await connection.api("STREAM.INFO.MARKET_DATA"))["config"]
    await connection.api("STREAM.UPDATE.MARKET_DATA", config | {"sealed": True})
    with pytest.raises(UnfitStreamError, match="sealed"):
        await ensure_stream(connection)
    mirror = {"name": "P_MARKET_DATA", "mirror": {"name": "MARKET_DATA"}, "storage": "file"}
    await connection.api("STREAM.CREATE.P_MARKET_DATA", mirror)
    with pytest.raises(UnfitStreamError, match="mirror"):
        await ensure_stream(connection, "P")


async def test_another_stream_on_our_subjects_is_an_error_naming_it(connection: Connection) -> None:
    await connection.api("STREAM.CREATE.OTHER", {"name": "OTHER", "subjects": ["market.futures.trades"]})
    with pytest.raises(OverlappingStreamError, match="stream OTHER .* already captures"):
        await ensure_stream(connection)


# --- who else is publishing


async def test_recent_events_of_another_source_refuse_a_replay(connection: Connection) -> None:
    stream = await ensure_stream(connection)
    await refuse_busy(connection, stream, SUBJECTS, "direct_feed", time.time_ns())
    await connection.jetstream().publish("market.stocks.trades", b'{"source":"polygon_ws"}')
    stream = await ensure_stream(connection)
    with pytest.raises(OtherSourceError, match="polygon_ws"):
        await refuse_busy(connection, stream, SUBJECTS, "direct_feed", time.time_ns())
    await refuse_busy(connection, stream, SUBJECTS, "polygon_ws", time.time_ns())
    await refuse_busy(connection, stream, SUBJECTS, "direct_feed", time.time_ns() + 61 * SECOND)


async def test_what_others_publish_beside_our_subjects_says_nothing_about_ours(connection: Connection) -> None:
    jetstream = connection.jetstream()
    await ensure_stream(connection)
    await jetstream.publish("market.futures.trades", b'{"source":"direct_feed"}')
    await jetstream.publish("market.flow", b'{"source":"flow"}')
    stream = await ensure_stream(connection)
    await refuse_busy(connection, stream, SUBJECTS, "direct_feed", time.time_ns())
    with pytest.raises(OtherSourceError, match="received events of direct_feed"):
        await refuse_busy(connection, stream, SUBJECTS, "sim", time.time_ns())
