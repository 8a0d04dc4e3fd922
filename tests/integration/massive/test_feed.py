"""One market's feed against a scripted server, with both names of the client library: it survives what happens."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import trustme

from spyctl.errors import KeyRefusedError, SpyctlError
from spyctl.market.feeds import Arrival, FeedState
from spyctl.massive.feed import Feed, Timing
from spyctl.massive.inbox import AT_ONCE
from spyctl.massive.simulator import Peer, Script, Simulator
from spyctl.massive.socket import Receive, SocketEnd, SocketRequest
from spyctl.timing.instants import MS
from tests.support.feeds import CALM, QUICK, Listener, running
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
TOPICS = ["T.SPY", "Q.SPY"]
KEY = "a-key-nobody-should-see"


@pytest.fixture(params=["polygon", "massive"])
def library(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


def feed_to(simulator: Simulator, library: str | None = None, timing: Timing = CALM) -> Feed:
    feed = Feed("stocks", KEY, url=simulator.url, timing=timing, library=library)
    feed.set_desired(TOPICS)
    return feed


def is_up(feed: Feed) -> bool:
    return feed.state is FeedState.UP and feed.desired <= feed.held


async def test_a_feed_connects_authenticates_subscribes_and_hands_over_frames(library: str) -> None:
    listener = Listener()
    async with Simulator(500).serving() as simulator, running(feed := feed_to(simulator, library), listener):
        await eventually(lambda: is_up(feed) and len(listener.arrivals) > 20)
        (peer,) = simulator.peers
        assert peer.heard[0] == {"action": "auth", "params": KEY}
        assert peer.heard[1]["action"] == "subscribe"
        assert sorted(peer.heard[1]["params"].split(",")) == sorted(TOPICS)
    assert (feed.state, feed.reconnects, listener.losses) == (FeedState.STOPPED, 0, [])


async def test_stopping_closes_the_connection_in_order(library: str) -> None:
    async with Simulator(2_000).serving() as simulator:
        listener = Listener()
        async with running(feed := feed_to(simulator, library), listener) as task:
            await eventually(lambda: len(listener.arrivals) > 20)
            (peer,) = simulator.peers
            feed.stop()
            await asyncio.wait_for(task, 3)
        await eventually(lambda: not simulator.peers)
        assert peer.socket.close_code == 1000  # which frees the place for the next one


async def test_several_statuses_may_share_a_frame(library: str) -> None:
    class Terse(Script):
        async def authenticate(self, peer: Peer, key: str) -> bool:
            statuses = [("connected", "Connected Successfully"), ("auth_success", "authenticated")]
            await peer.say(*({"ev": "status", "status": status, "message": text} for status, text in statuses))
            return True

    async with Simulator(0, script=Terse()).serving() as simulator:
        feed = feed_to(simulator, library)
        async with running(feed, Listener()):
            await eventually(lambda: is_up(feed))


# --- what breaks (faults 19 to 24, 30 to 32)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 0])
async def test_every_end_of_a_connection_is_a_gap_and_a_reconnect(library: str, code: int) -> None:
    listener = Listener()
    async with Simulator(100).serving() as simulator, running(feed := feed_to(simulator, library), listener):
        await eventually(lambda: is_up(feed))
        (peer,) = simulator.peers
        if code:
            await peer.socket.close(code)
        else:
            peer.abort()
        await eventually(lambda: is_up(feed) and simulator.connections == 2)
        await eventually(lambda: listener.returns == 1)
        assert len(listener.losses) == 1
        assert set(simulator.peers[0].topics) == set(TOPICS)


async def test_an_eviction_counts_once_although_its_status_had_not_been_read_when_the_connection_closed() -> None:
    listener = Listener()
    feed = Feed("stocks", KEY, timing=CALM, open_socket=EvictedSocket)
    async with running(feed, listener):
        await eventually(lambda: len(listener.notes) == 2)
    assert listener.losses == ["max_connections"]
    assert listener.notes[0] == "stocks: this key had a connection already (Maximum number of connections exceeded.)"


class EvictedSocket:
    """Brings more frames than are read at once, the last of which says what the close frame does not."""

    def __init__(self, request: SocketRequest) -> None:
        self._request = request

    async def run(self, receive: Receive) -> SocketEnd:
        receive('[{"ev":"status","status":"auth_success","message":"authenticated"}]')
        for _ in range(2 * AT_ONCE):
            receive("[]")
        words = "Maximum number of connections exceeded."
        receive(f'[{{"ev":"status","status":"max_connections","message":"{words}"}}]')
        return SocketEnd("closed with 1008", 1008)

    def subscribe(self, topics: Collection[str]) -> None: ...

    def unsubscribe(self, topics: Collection[str]) -> None: ...

    def repeat(self, subscribe: Collection[str], unsubscribe: Collection[str]) -> None: ...

    async def close(self) -> None: ...


async def test_a_listener_that_cannot_take_an_arrival_ends_the_feed_with_its_error() -> None:
    class Full(Listener):
        def arrived(self, arrival: Arrival) -> None:
            raise SpyctlError("100 internal errors within a minute")

    async with Simulator(500).serving() as simulator, running(feed_to(simulator), Full()) as task:
        with pytest.raises(SpyctlError, match="100 internal errors"):
            await asyncio.wait_for(task, 10)


async def test_a_listener_that_fails_over_a_missing_topic_ends_the_feed_with_its_error() -> None:
    class Deaf(Script):
        async def subscribe(self, peer: Peer, topics: list[str]) -> None: ...

    class Full(Listener):
        def note(self, feed: str, text: str) -> None:
            raise SpyctlError("no room for notes")

    timing = replace(CALM, acknowledge=0.05)
    async with (
        Simulator(0, script=Deaf()).serving() as simulator,
        running(feed_to(simulator, timing=timing), Full()) as task,
    ):
        with pytest.raises(SpyctlError, match="no room for notes"):
            await asyncio.wait_for(task, 10)


async def test_what_never_was_up_is_lost_from_the_start() -> None:
    class Slam(Script):
        async def greet(self, peer: Peer) -> None:
            peer.abort()

    listener, begun_ns = Listener(), time.time_ns()
    async with Simulator(0, script=Slam()).serving() as simulator, running(feed_to(simulator), listener):
        await eventually(lambda: simulator.connections >= 3)
    assert len(listener.lost_from_ns) == 1
    assert begun_ns <= listener.lost_from_ns[0] < begun_ns + 500 * MS


async def test_a_gap_ends_only_when_what_is_wanted_is_acknowledged() -> None:
    allowed = asyncio.Event()

    class Slow(Script):
        async def subscribe(self, peer: Peer, topics: list[str]) -> None:
            if peer.number > 1:
                await allowed.wait()
            await super().subscribe(peer, topics)

    listener, timing = Listener(), replace(QUICK, acknowledge=4.0)
    async with (
        Simulator(0, script=Slow()).serving() as simulator,
        running(feed := feed_to(simulator, timing=timing), listener),
    ):
        await eventually(lambda: is_up(feed))
        simulator.peers[0].abort()
        await eventually(
            lambda: simulator.connections == 2 and feed.state is FeedState.UP and simulator.peers[0].heard[1:]
        )
        since = time.monotonic()
        await eventually(lambda: time.monotonic() - since > 1.0)  # it has looked twice
        assert (len(listener.losses), listener.returns) == (1, 0)
        allowed.set()
        await eventually(lambda: listener.returns == 1)


async def test_the_pauses_double_up_to_the_longest() -> None:
    attempts: list[float] = []

    class Slam(Script):
        async def greet(self, peer: Peer) -> None:
            attempts.append(time.monotonic())
            peer.abort()

    timing = replace(QUICK, first_wait=0.05, longest_wait=0.3, jitter=0.0)
    async with (
        Simulator(0, script=Slam()).serving() as simulator,
        running(feed_to(simulator, timing=timing), Listener()),
    ):
        await eventually(lambda: len(attempts) >= 6)
    pauses = [later - earlier for earlier, later in pairwise(attempts)]
    assert all(pause >= least for pause, least in zip(pauses, (0.05, 0.1, 0.2, 0.3, 0.3), strict=False))


async def test_a_change_of_topics_during_an_outage_is_what_the_next_connection_gets(library: str) -> None:
    listener = Listener()
    async with Simulator(0).serving() as simulator, running(feed := feed_to(simulator, library), listener):
        await eventually(lambda: is_up(feed))
        simulator.peers[0].abort()
        await eventually(lambda: feed.state is FeedState.RECONNECTING)
        feed.set_desired(["T.SPY", "T.QQQ"])
        await eventually(lambda: is_up(feed) and simulator.connections == 2)
        assert set(simulator.peers[0].topics) == {"T.SPY", "T.QQQ"}


async def test_topics_change_on_a_living_connection_additions_first(library: str) -> None:
    listener = Listener()
    async with Simulator(200).serving() as simulator, running(feed := feed_to(simulator, library), listener):
        await eventually(lambda: is_up(feed))
        feed.set_desired(["T.SPY", "T.QQQ"])
        (peer,) = simulator.peers
        await eventually(lambda: set(peer.topics) == {"T.SPY", "T.QQQ"})
        await eventually(lambda: feed.held == {"T.SPY", "T.QQQ"})
        assert [message["action"] for message in peer.heard] == ["auth", "subscribe", "subscribe", "unsubscribe"]


async def test_attempts_are_paced_however_fast_the_server_refuses() -> None:
    class Slam(Script):
        async def greet(self, peer: Peer) -> None:
            peer.abort()

    listener = Listener()
    async with Simulator(0, script=Slam()).serving() as simulator, running(feed_to(simulator), listener):
        begun = asyncio.get_running_loop().time()
        await eventually(lambda: simulator.connections >= 5)
        # 0.02 s doubling to 0.1 s, each at least three quarters of that: never a hot loop.
        assert asyncio.get_running_loop().time() - begun > 0.75 * (0.02 + 0.04 + 0.08 + 0.1)
        assert "connecting again in" in listener.notes[0]


async def test_a_server_that_comes_late_is_found() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = f"ws://127.0.0.1:{probe.getsockname()[1]}"
    listener = Listener()
    feed = Feed("stocks", KEY, url=free, timing=QUICK)
    async with running(feed, listener):
        await eventually(lambda: feed.reconnects >= 2)
        assert len(listener.losses) == 1  # from the start of the run on
        assert feed.state is FeedState.RECONNECTING


@pytest.mark.parametrize("silent", ["hello", "answer"])
async def test_silence_before_authentication_ends_with_the_deadline(silent: str) -> None:
    class Silent(Script):
        async def greet(self, peer: Peer) -> None:
            if silent != "hello" or simulator.connections > 1:
                await super().greet(peer)

        async def authenticate(self, peer: Peer, key: str) -> bool:
            return (silent == "answer" and simulator.connections == 1) or await super().authenticate(peer, key)

    listener = Listener()
    async with (
        Simulator(0, script=Silent()).serving() as simulator,
        running(feed := feed_to(simulator, timing=QUICK), listener),
    ):
        await eventually(lambda: is_up(feed))
        assert simulator.connections == 2
        assert "no authentication in time" in listener.notes[0]


@pytest.mark.parametrize("answer", ["garbage", "[]", "{}", '[{"ev":"status","status":"auth_timeout","message":"x"}]'])
async def test_a_strange_answer_to_the_key_is_tried_again(answer: str) -> None:
    class Strange(Script):
        async def authenticate(self, peer: Peer, key: str) -> bool:
            if simulator.connections > 1:
                return await super().authenticate(peer, key)
            await peer.socket.send(answer)
            return True

    listener = Listener()
    async with Simulator(0, script=Strange()).serving() as simulator, running(feed := feed_to(simulator), listener):
        await eventually(lambda: is_up(feed))


async def test_a_half_open_connection_is_noticed_by_its_ping() -> None:
    listener = Listener()
    async with Simulator(0).serving() as simulator, running(feed := feed_to(simulator, timing=QUICK), listener):
        await eventually(lambda: is_up(feed))
        simulator.peers[0].socket.transport.pause_reading()  # nothing answers any more, not even pings
        await eventually(lambda: simulator.connections == 2)
        assert len(listener.losses) == 1


async def test_a_watchdog_may_ask_for_a_new_connection() -> None:
    listener = Listener()
    async with Simulator(0).serving() as simulator, running(feed := feed_to(simulator), listener):
        await eventually(lambda: is_up(feed))
        feed.reconnect("nothing for 15 s")
        await eventually(lambda: simulator.connections == 2 and is_up(feed))
        assert listener.losses == ["nothing for 15 s"]


async def test_large_frames_pass() -> None:
    listener = Listener()
    async with Simulator(0).serving() as simulator, running(feed := feed_to(simulator), listener):
        await eventually(lambda: is_up(feed))
        await simulator.peers[0].say({"ev": "T", "sym": "SPY"} | {"large": "x" * (3 << 20)})
        await eventually(lambda: any(arrival.rejects for arrival in listener.arrivals))
        assert feed.reconnects == 0


async def test_a_frame_beyond_all_bounds_costs_a_reconnect_and_no_more() -> None:
    listener = Listener()
    async with Simulator(0).serving() as simulator, running(feed := feed_to(simulator), listener):
        await eventually(lambda: is_up(feed))
        await simulator.peers[0].say("x" * (17 << 20))
        await eventually(lambda: simulator.connections == 2 and is_up(feed))


# --- keys (faults 25 to 27, 30, 40, 41)


class Refusing(Script):
    """Refuses the key in the vendor's manner, on the connections that ``when`` picks."""

    def __init__(self, when: Any = lambda number: True, message: str = "authentication failed") -> None:
        self.when = when
        self.message = message

    async def authenticate(self, peer: Peer, key: str) -> bool:
        if not self.when(peer.number):
            return await super().authenticate(peer, key)
        await peer.status("auth_failed", self.message)
        peer.abort()
        return False


async def test_a_wrong_key_ends_the_feed_at_once_with_the_servers_message(library: str) -> None:
    listener = Listener()
    message = "Your plan doesn't include websocket access."
    async with Simulator(0, script=Refusing(message=message)).serving() as simulator:
        async with running(feed := feed_to(simulator, library), listener) as task:
            await eventually(task.done)
            with pytest.raises(KeyRefusedError, match="doesn't include websocket access"):
                task.result()
        assert (simulator.connections, feed.state) == (1, FeedState.REFUSED)


async def test_a_key_that_was_good_is_given_some_minutes(library: str) -> None:
    script = Refusing(lambda number: number in (2, 3))
    async with Simulator(0, script=script).serving() as simulator:
        feed = feed_to(simulator, library)
        async with running(feed, Listener()):
            await eventually(lambda: is_up(feed))
            simulator.peers[0].abort()
            await eventually(lambda: simulator.connections == 4 and is_up(feed))


async def test_a_good_key_that_stays_refused_ends_the_feed() -> None:
    async with Simulator(0, script=Refusing(lambda number: number > 1)).serving() as simulator:
        feed = feed_to(simulator)
        async with running(feed, Listener()) as task:
            await eventually(lambda: is_up(feed))
            simulator.peers[0].abort()
            await eventually(task.done)
            with pytest.raises(KeyRefusedError):
                task.result()
    assert simulator.connections > 3


@pytest.mark.parametrize("early", [False, True])
async def test_an_eviction_cools_down_and_the_third_one_ends_it(early: bool) -> None:
    class Evicting(Script):
        async def authenticate(self, peer: Peer, key: str) -> bool:
            if early:
                await peer.status("max_connections", "Maximum number of websocket connections exceeded. ")
                return False
            return await super().authenticate(peer, key)

        async def subscribe(self, peer: Peer, topics: list[str]) -> None:
            await super().subscribe(peer, topics)
            await peer.status("max_connections", "Maximum number of websocket connections exceeded. ")
            await peer.socket.close(1008)

    listener = Listener()
    async with Simulator(0, script=Evicting()).serving() as simulator:
        begun = asyncio.get_running_loop().time()
        async with running(feed_to(simulator), listener) as task:
            await eventually(task.done)
            with pytest.raises(KeyRefusedError, match="another process with this key"):
                task.result()
        assert simulator.connections == 3
        assert asyncio.get_running_loop().time() - begun >= 2 * QUICK.cool_down
    assert any("another process uses this key" in note for note in listener.notes)


async def test_one_eviction_after_a_restart_is_no_alarm() -> None:
    class Once(Script):
        async def authenticate(self, peer: Peer, key: str) -> bool:
            if peer.number == 1:
                await peer.status("max_connections", "exceeded")
                return False
            return await super().authenticate(peer, key)

    async with Simulator(0, script=Once()).serving() as simulator, running(feed := feed_to(simulator), Listener()):
        await eventually(lambda: is_up(feed))


async def test_the_key_is_in_no_log_and_nothing_is_printed(
    library: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    listener = Listener()
    async with Simulator(100).serving() as simulator, running(feed := feed_to(simulator, library), listener):
        await eventually(lambda: is_up(feed))
        simulator.peers[0].abort()
        await eventually(lambda: simulator.connections == 2 and is_up(feed))
    # The server's own debug log is in this process too; the client's must not have the key.
    assert KEY not in "\n".join(record.getMessage() for record in caplog.records if record.name == "websockets.client")
    assert KEY not in "".join(capsys.readouterr())
    assert KEY not in repr(vars(listener))


# --- subscriptions (faults 28, 29)


async def test_what_is_not_entitled_is_found_by_what_is_missing() -> None:
    class NoQuotes(Script):
        async def subscribe(self, peer: Peer, topics: list[str]) -> None:
            if "Q.SPY" in topics:
                await peer.status("error", "not authorized")
            await super().subscribe(peer, [topic for topic in topics if topic != "Q.SPY"])

    listener = Listener()
    async with Simulator(0, script=NoQuotes()).serving() as simulator, running(feed := feed_to(simulator), listener):
        await eventually(lambda: feed.missing == {"Q.SPY"})
        assert feed.held == {"T.SPY"}
        assert feed.state is FeedState.UP
        assert any("1 not acknowledged: Q.SPY" in note for note in listener.notes)
        assert any("not authorized" in note for note in listener.notes)
        asked = len(simulator.peers[0].heard)
        await eventually(lambda: len(simulator.peers[0].heard) > asked)  # and is asked for again, now and then


async def test_an_acknowledgement_that_is_lost_is_asked_for_once_more() -> None:
    class Forgetful(Script):
        forgot = False

        async def subscribe(self, peer: Peer, topics: list[str]) -> None:
            if not self.forgot:
                self.forgot = True
                return
            await super().subscribe(peer, topics)

    listener = Listener()
    slow = replace(CALM, acknowledge=1.5)  # a quiet client looks at its wishes once a second
    script = Forgetful()
    async with (
        Simulator(0, script=script).serving() as simulator,
        running(feed := feed_to(simulator, timing=slow), listener),
    ):
        await eventually(lambda: is_up(feed))
        assert feed.missing == frozenset()
        assert listener.notes == []
        assert [message["action"] for message in simulator.peers[0].heard] == ["auth", "subscribe", "subscribe"]


async def test_a_gap_ends_though_some_topics_stay_missing() -> None:
    class NoQuotes(Script):
        async def subscribe(self, peer: Peer, topics: list[str]) -> None:
            await super().subscribe(peer, [topic for topic in topics if topic != "Q.SPY"])

    listener = Listener()
    async with Simulator(0, script=NoQuotes()).serving() as simulator, running(feed := feed_to(simulator), listener):
        await eventually(lambda: feed.missing == {"Q.SPY"})
        simulator.peers[0].abort()
        await eventually(lambda: listener.returns == 1)


@pytest.mark.parametrize("place", ["hello", "success"])
async def test_an_eviction_is_recognised_in_any_frame(library: str, place: str) -> None:
    status = {
        "ev": "status",
        "status": "max_connections",
        "message": "Maximum number of websocket connections exceeded.",
    }

    class Full(Script):
        async def greet(self, peer: Peer) -> None:
            if place == "hello":
                await peer.say(status)
            else:
                await super().greet(peer)

        async def authenticate(self, peer: Peer, key: str) -> bool:
            if place == "success":
                await peer.say({"ev": "status", "status": "auth_success", "message": "authenticated"}, status)
            await peer.socket.close(1008, "policy")
            return False

    listener = Listener()
    async with (
        Simulator(0, script=Full()).serving() as simulator,
        running(feed_to(simulator, library), listener) as task,
    ):
        await eventually(task.done)
        with pytest.raises(KeyRefusedError, match="another process with this key took over the stocks feed 3 times"):
            task.result()
        assert simulator.connections == 3
    assert "this key had a connection already" in listener.notes[0]  # after a crash that is no alarm


async def test_a_certificate_that_is_not_trusted_and_an_http_error_are_named() -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    for scheme, context, reason in (("wss", tls, "is not trusted"), ("ws", None, "answers HTTP 503")):
        server = await asyncio.start_server(broken, "127.0.0.1", 0, ssl=context)
        url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        listener = Listener()
        async with running(Feed("stocks", KEY, url=url, timing=QUICK), listener):
            await eventually(lambda reason=reason, heard=listener: any(reason in note for note in heard.notes))
        server.close()


async def test_a_cut_inside_a_frame_is_like_any_cut(library: str) -> None:
    listener = Listener()
    async with Simulator(0).serving() as simulator, running(feed := feed_to(simulator, library), listener):
        await eventually(lambda: is_up(feed))
        (peer,) = simulator.peers
        peer.socket.transport.write(b"\x81\x7e\x10\x00" + b"[{half a frame")  # a text of 4,096 bytes, it says
        peer.abort()
        await eventually(lambda: simulator.connections == 2 and is_up(feed))
        assert len(listener.losses) == listener.returns == 1
    assert not any(arrival.rejects for arrival in listener.arrivals)


async def test_an_unsubscribe_that_is_not_acknowledged_is_said_again(library: str) -> None:
    class Deaf(Script):
        heard = 0

        async def unsubscribe(self, peer: Peer, topics: list[str]) -> None:
            self.heard += 1
            if self.heard > 1:
                await super().unsubscribe(peer, topics)

    listener, script = Listener(), Deaf()
    async with (
        Simulator(0, script=script).serving() as simulator,
        running(feed := feed_to(simulator, library), listener),
    ):
        await eventually(lambda: is_up(feed))
        feed.set_desired(["T.SPY"])
        await eventually(lambda: feed.held == {"T.SPY"})
        assert script.heard == 2
