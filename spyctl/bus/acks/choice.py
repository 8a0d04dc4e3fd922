"""Which acknowledgement protocol to use: what the server and the stream allow, or what is asked for."""

from collections.abc import Sequence

from spyctl.bus.acks.base import USUAL, AckProtocol, Patience
from spyctl.bus.acks.fast_ingest import FLOW_FAST, FLOW_PACED, FastIngest
from spyctl.bus.acks.mode import AckMode
from spyctl.bus.acks.per_message import PerMessage
from spyctl.bus.connection import Connection
from spyctl.bus.recognition import EventsAfter
from spyctl.bus.run import Run
from spyctl.bus.stream import Stream
from spyctl.errors import FastIngestUnavailableError


def choose_protocol(
    connection: Connection,
    stream: Stream,
    subjects: Sequence[str],
    *,
    asked: AckMode = AckMode.AUTO,
    paced: bool = False,
    run: Run | None = None,
    events: EventsAfter | None = None,
    patience: Patience = USUAL,
) -> AckProtocol:
    """Return fast ingest where server (2.14 or newer) and stream allow it, acknowledgements per message elsewhere.

    ``paced`` has every event acknowledged by itself; ``run`` proves its leases, and writes down the batches; ``events``
    yields its events again. Raises :class:`FastIngestUnavailableError` where fast ingest is asked for and unavailable.
    """
    if not uses_batches(connection, stream, asked):
        return PerMessage(connection, stream, subjects, run=run, patience=patience)
    flow = FLOW_PACED if paced else FLOW_FAST
    return FastIngest(connection, stream, subjects, flow=flow, run=run, events=events, patience=patience)


def uses_batches(connection: Connection, stream: Stream, asked: AckMode) -> bool:
    """Tell whether events go by fast ingest. Raises :class:`FastIngestUnavailableError`."""
    possible = stream.batched and connection.server_at_least(2, 14)
    if asked is AckMode.FAST and not possible:
        why = "its stream does not allow it" if connection.server_at_least(2, 14) else "it is older than 2.14"
        raise FastIngestUnavailableError(f"fast ingest is unavailable at {connection.url}: {why}")
    return possible and asked is not AckMode.MESSAGE
