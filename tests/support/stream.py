"""Reading a stream back over a raw connection, independent of the code under test."""

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy


async def read_stream(url: str, name: str = "MARKET_DATA") -> list[tuple[int, str, bytes, str]]:
    """Return ``(seq, subject, payload, message id)`` of all that a stream holds, in its order."""
    client = await nats.connect(url)
    try:
        jetstream = client.jetstream()
        info = await jetstream.stream_info(name)
        found: list[tuple[int, str, bytes, str]] = []
        if info.state.messages == 0:
            return found
        subscription = await jetstream.subscribe(
            ">", stream=name, ordered_consumer=True, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
            pending_msgs_limit=0, pending_bytes_limit=0,
        )  # fmt: skip
        while len(found) < info.state.messages:
            message = await subscription.next_msg(timeout=10)
            message_id = (message.headers or {}).get("Nats-Msg-Id", "")
            found.append((message.metadata.sequence.stream, message.subject, message.data, message_id))
        return found
    finally:
        await client.close()
