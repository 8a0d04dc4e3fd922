"""Which acknowledgement protocol is used: every combination of request, server and stream."""

import pytest

from spyctl.bus.acks.choice import choose_protocol
from spyctl.bus.acks.fast_ingest import FLOW_FAST, FLOW_PACED, FastIngest
from spyctl.bus.acks.mode import AckMode
from spyctl.bus.acks.per_message import PerMessage
from spyctl.errors import FastIngestUnavailableError
from tests.support.connection import ScriptedConnection
from tests.unit.bus.acks.streams import stream

OLD, NEW = (2, 10), (2, 14)


@pytest.mark.parametrize(
    ("asked", "version", "batched", "expected"),
    [
        (AckMode.AUTO, NEW, True, FastIngest),
        (AckMode.AUTO, NEW, False, PerMessage),
        (AckMode.AUTO, OLD, True, PerMessage),
        (AckMode.AUTO, OLD, False, PerMessage),
        (AckMode.FAST, NEW, True, FastIngest),
        (AckMode.MESSAGE, NEW, True, PerMessage),
        (AckMode.MESSAGE, OLD, False, PerMessage),
    ],
)
def test_fast_ingest_is_used_where_server_stream_and_request_allow_it(
    asked: AckMode, version: tuple[int, int], batched: bool, expected: type
) -> None:
    connection = ScriptedConnection(version=version).as_connection()
    assert type(choose_protocol(connection, stream(batched=batched), ["a"], asked=asked)) is expected


@pytest.mark.parametrize(
    ("version", "batched", "reason"),
    [(NEW, False, "its stream does not allow it"), (OLD, True, "it is older than 2.14")],
)
def test_fast_ingest_that_is_asked_for_and_unavailable_is_an_error(
    version: tuple[int, int], batched: bool, reason: str
) -> None:
    connection = ScriptedConnection(version=version).as_connection()
    with pytest.raises(FastIngestUnavailableError, match=f"unavailable at nats://scripted:4222: {reason}"):
        choose_protocol(connection, stream(batched=batched), ["a"], asked=AckMode.FAST)


@pytest.mark.parametrize(("paced", "flow"), [(True, FLOW_PACED), (False, FLOW_FAST)])
def test_a_paced_run_has_every_event_acknowledged_by_itself(paced: bool, flow: int) -> None:
    protocol = choose_protocol(ScriptedConnection().as_connection(), stream(batched=True), ["a"], paced=paced)
    assert isinstance(protocol, FastIngest)
    assert protocol._flow == flow
