"""Events as JSON lines on stdout."""

import orjson
import pytest

from spyctl.cli.framework.stdout_sink import StdoutSink
from spyctl.market.encode import EncodedBatch, encoded_events


def batch(*payloads: bytes, ranks: list[int]) -> EncodedBatch:
    return encoded_events(payloads, ranks)


async def test_each_payload_is_wrapped_with_its_subject(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    sink = StdoutSink(["market.a", "market.b"])
    await sink.publish(batch(b'{"x":1}', b'{"y":22}', ranks=[1, 0]))
    await sink.drain()
    lines = capfdbinary.readouterr().out.splitlines()
    assert lines == [b'{"subject":"market.b","event":{"x":1}}', b'{"subject":"market.a","event":{"y":22}}']
    assert [orjson.loads(line)["event"] for line in lines] == [{"x": 1}, {"y": 22}]


async def test_raw_lines_are_the_payloads_alone(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    await StdoutSink(["market.a"], raw=True).publish(batch(b'{"x":1}', b'{"y":22}', ranks=[0, 0]))
    assert capfdbinary.readouterr().out == b'{"x":1}\n{"y":22}\n'


async def test_what_is_written_counts_as_acknowledged(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    sink = StdoutSink(["market.a"])
    for _ in range(3):
        await sink.publish(batch(b"{}", b"{}", ranks=[0, 0]))
    delivery = sink.delivery
    assert (delivery.published, delivery.acked, delivery.payload_bytes) == (6, 6, 12)
    assert len(capfdbinary.readouterr().out.splitlines()) == 6
