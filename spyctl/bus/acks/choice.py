"""Which acknowledgement protocol to use: what the server and the stream allow, or what is asked for."""

from collections.abc import Sequence

from spyctl.bus.acks.base import AckProtocol
from spyctl.bus.acks.fast_ingest import FLOW_FAST, FLOW_PACED, FastIngest
from spyctl.bus.acks.per_message import Windowed
from spyctl.bus.connection import Connection
from spyctl.bus.runs import Run
from spyctl.bus.stream import Stream
from spyctl.errors import UsageError


def choose_protocol(
    connection: Connection,
    stream: Stream,
    subjects: Sequence[str],
    *,
    asked: str = "auto",
    paced: bool = False,
    run: Run | None = None,
) -> AckProtocol:
    """Return fast ingest where server (2.14 or newer) and stream allow it, acknowledgements per message elsewhere.

    ``asked`` is ``auto``, ``fast`` or ``message``; ``paced`` has every event acknowledged by itself;
    ``run`` writes down the batches. Raises
    :class:`UsageError` where fast ingest is asked for and not to be had.
    """
    possible = stream.batched and connection.server_at_least(2, 14)
    if asked == "fast" and not possible:
        why = "its stream does not allow it" if connection.server_at_least(2, 14) else "it is older than 2.14"
        raise UsageError(f"fast ingest is not to be had at {connection.url}: {why}", "--ack auto")
    if asked == "message" or not possible:
        return Windowed(connection, stream, subjects)
    flow = FLOW_PACED if paced else FLOW_FAST
    if run is None:
        return FastIngest(connection, stream, subjects, flow=flow)
    return FastIngest(connection, stream, subjects, flow=flow, on_batch=run.note_batch, on_count=run.hold)
