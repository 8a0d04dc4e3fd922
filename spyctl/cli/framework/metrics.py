"""Figures of a run for Prometheus, and its health: ``/metrics``, ``/healthz``, ``/readyz`` over HTTP.

A thread answers, but every figure is read on the event loop: where that is stuck, ``/healthz`` says so.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from spyctl.bus.consumers import Consumer
from spyctl.errors import ListenError
from spyctl.terminal.outgoing import safe

PATIENCE_S = 2.0
_COUNTS = {
    "read": "Records read.",
    "received": "Events received.",
    "published": "Events published.",
    "acked": "Events acknowledged by JetStream.",
    "duplicates": "Events that had been stored before.",
    "rejected": "Records that are not events.",
    "late": "Events beyond the reorder window.",
    "reordered": "Events stored out of order.",
    "dropped": "Events discarded because the server was too slow.",
    "gaps": "Gaps in the feed.",
    "gaps_filled": "Gaps of which nothing is missing.",
    "stalls": "Times the schedule was shifted.",
    "segments": "Stretches played without a jump.",
    "seeks": "Times a replay was told to go elsewhere.",
    "resets": "Messages that tell of a jump.",
    "seeds": "Books published again at a jump.",
    "skipped": "Events read ahead and left behind by a jump.",
    "option_quotes_received": "Option quotes received.",
    "options_quoted": "Option trades whose quote was known.",
    "options_classified": "Option trades with a side.",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """The state of a run. ``summary`` is its summary so far; ``gauges`` are further figures by name, in base units.

    ``waiting_for`` says why it is not ready, empty where it is.
    """

    summary: Mapping[str, Any]
    waiting_for: str
    consumers: Sequence[Consumer] = ()
    gauges: Mapping[str, float] = field(default_factory=dict)


@contextmanager
def serving(address: tuple[str, int], read: Callable[[], Figures]) -> Iterator[str]:
    """Answer on an address during a run; yields the URL. Call it on the event loop that ``read`` belongs to.

    Raises :class:`ListenError` where the address is taken.
    """
    loop = asyncio.get_running_loop()

    def ask() -> Figures | None:
        answer: concurrent.futures.Future[Figures] = concurrent.futures.Future()
        try:
            loop.call_soon_threadsafe(lambda: answer.set_result(read()))
            return answer.result(PATIENCE_S)
        except (TimeoutError, RuntimeError):
            return None

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, kind, text = _answer(self.path.partition("?")[0], ask)
            body = safe(text).encode()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    try:
        server = ThreadingHTTPServer(address, Handler)
    except OSError as error:
        raise ListenError(f"{address[0]}:{address[1]}", error.strerror or str(error)) from None
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True, name="metrics")
    thread.start()
    try:
        yield f"http://{address[0]}:{server.server_address[1]}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(path: str, ask: Callable[[], Figures | None]) -> tuple[int, str, str]:
    if path not in ("/metrics", "/healthz", "/readyz"):
        return 404, "text/plain", "there are /metrics, /healthz and /readyz\n"
    figures = ask()
    if figures is None:
        return 503, "text/plain", "the event loop does not answer\n"
    if path == "/healthz":
        return 200, "text/plain", "ok\n"
    if path == "/readyz":
        waiting = figures.waiting_for
        return (503, "text/plain", f"waiting for {waiting}\n") if waiting else (200, "text/plain", "ok\n")
    registry = CollectorRegistry()
    registry.register(_FigureCollector(figures))
    return 200, CONTENT_TYPE_LATEST, generate_latest(registry).decode()


class _FigureCollector:
    # Figures as what prometheus_client collects from.
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        summary = self._figures.summary
        yield GaugeMetricFamily("spyctl_ready", "1 where events flow.", value=float(not self._figures.waiting_for))
        events = CounterMetricFamily("spyctl_events", "Events published, by subject.", labels=["subject"])
        for subject, count in summary["by_subject"].items():
            events.add_metric([subject], count)
        yield events
        for name, text in _COUNTS.items():
            if isinstance(summary.get(name), int):
                yield CounterMetricFamily(f"spyctl_{name}", text, value=summary[name])
        in_flight = summary["published"] - summary["acked"]
        yield GaugeMetricFamily("spyctl_in_flight", "Events published and not yet acknowledged.", value=in_flight)
        for name in ("ack", "latency", "lateness", "options_wait"):
            if percentiles := summary.get(f"{name}_ms"):
                family = GaugeMetricFamily(f"spyctl_{name}_seconds", f"The run's {name} so far.", labels=["quantile"])
                family.add_metric(["0.5"], percentiles["p50"] / 1000)
                family.add_metric(["0.99"], percentiles["p99"] / 1000)
                yield family
        for name, value in self._figures.gauges.items():
            yield GaugeMetricFamily(f"spyctl_{name}", name.replace("_", " "), value=value)
        yield from self._consumers()

    def _consumers(self) -> Iterator[Metric]:
        labels = ["consumer"]
        behind = GaugeMetricFamily("spyctl_consumer_behind", "Messages not yet delivered.", labels=labels)
        age = GaugeMetricFamily("spyctl_consumer_behind_seconds", "Age of the oldest of them.", labels=labels)
        unacked = GaugeMetricFamily("spyctl_consumer_unacked", "Messages delivered, not yet acked.", labels=labels)
        for consumer in self._figures.consumers:
            behind.add_metric([consumer.name], consumer.behind)
            age.add_metric([consumer.name], consumer.behind_s or 0.0)
            unacked.add_metric([consumer.name], consumer.unacked)
        yield from (behind, age, unacked)
