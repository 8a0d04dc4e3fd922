"""A server that stores nothing is noticed within two seconds, and told once at the start and once at the end."""

import io

from spyctl.bus.in_flight import Delivery
from spyctl.cli.framework.ack_watch import LOOK_NS, NOTICE_NS, AckWatch
from spyctl.cli.framework.reporter import Reporter
from spyctl.timing.instants import SECOND
from tests.support.clock import FakeClock


class Watched:
    def __init__(self) -> None:
        self.said = io.StringIO()
        self.delivery, self.clock, self.connected = Delivery(), FakeClock(), True
        self.watch = AckWatch(self.delivery, lambda: self.connected, Reporter(self.said), self.clock)

    def after(self, ns: int) -> int:
        for _ in range(ns // LOOK_NS):
            self.clock.advance(LOOK_NS)
            self.watch.look()
        return self.watch.waiting_ns

    @property
    def lines(self) -> list[str]:
        return self.said.getvalue().splitlines()


def test_a_frozen_server_is_told_within_two_seconds_and_when_it_is_back() -> None:
    watched = Watched()
    watched.delivery.published = 10
    assert NOTICE_NS + LOOK_NS < 2 * SECOND
    assert watched.after(SECOND) == 0
    assert watched.after(SECOND) == 2 * SECOND
    assert watched.lines == ["! NATS stores nothing of what is in flight: waiting for it"]
    assert watched.after(28 * SECOND) == 30 * SECOND
    watched.delivery.acked = 4
    assert watched.after(SECOND) == 0
    assert watched.lines[1:] == ["NATS is back after 30.2 s"]


def test_a_server_that_is_slow_but_stores_is_not_waited_for() -> None:
    watched = Watched()
    watched.delivery.published = 100
    for _ in range(10):
        watched.delivery.acked += 1
        assert watched.after(SECOND) == 0
    assert watched.lines == []


def test_nothing_in_flight_is_nothing_to_wait_for() -> None:
    watched = Watched()
    watched.delivery.published = watched.delivery.acked = 10
    assert watched.after(60 * SECOND) == 0
    watched.delivery.published = 11  # the wait begins here
    assert watched.after(SECOND) == 0
    assert watched.lines == []


def test_a_server_that_was_killed_and_revived_is_told_however_short_that_was() -> None:
    watched = Watched()
    watched.delivery.published = 10
    watched.delivery.reconnects = 1
    watched.after(LOOK_NS)
    watched.delivery.acked = 10
    watched.after(LOOK_NS)
    assert watched.lines == ["! the connection to NATS was lost: waiting for it", "NATS is back after 500 ms"]


def test_a_server_that_is_away_is_waited_for_though_nothing_is_in_flight() -> None:
    watched = Watched()
    watched.connected = False
    assert watched.after(2 * SECOND) == 2 * SECOND
    assert watched.lines == ["! the connection to NATS was lost: waiting for it"]
    watched.connected = True
    assert watched.after(SECOND) == 0
    assert len(watched.lines) == 2


def test_a_process_that_was_suspended_does_not_blame_the_server() -> None:
    watched = Watched()
    watched.delivery.published = 10
    watched.after(SECOND)
    watched.clock.advance(60 * SECOND)
    watched.watch.look()
    assert (watched.watch.waiting_ns, watched.lines) == (0, [])
