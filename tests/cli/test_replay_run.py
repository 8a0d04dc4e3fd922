"""Playing inside this process: destination, record, rolls, room, and how a replay that cannot end says so."""

import asyncio
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spyctl.bus.acks.mode import AckMode
from spyctl.bus.connection import connect
from spyctl.bus.publishing import RunRequest, publishing
from spyctl.bus.runs import RunRecord, Runs, RunState
from spyctl.bus.store_mode import StoreMode
from spyctl.bus.stream import ensure_stream
from spyctl.bus.target import Target
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.replay_options import SinkKind
from spyctl.cli.replay_plan import InputRequest, Request, plan_request
from spyctl.cli.replay_run import run_replay, show_server
from spyctl.errors import NoSpaceError, OtherRunError, StreamBusyError
from spyctl.market.columns import SCHEMAS
from spyctl.replay.session import LEASED_SUBJECTS, ReplayOptions
from spyctl.timing.clock import MAX_SPEED, Speed
from tests.support.records import MS, T0, book, trade, write_file
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
COUNT = 30


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "dbn-data"
    write_file(root, "trades", [trade(T0 + 3 * i * MS) for i in range(COUNT // 3)])
    write_file(root, "mbp-10", [book(T0 + 3 * i * MS // 2) for i in range(COUNT - COUNT // 3)])
    return root


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    with io.StringIO() as stream:
        yield stream


def request(root: Path, url: str = "", **values: Any) -> Request:
    asked = InputRequest(root, (), "--date", None, SCHEMAS, None, None, "America/New_York", None)
    target = Target(urls=(url,), named_by="NATS_URL") if url else Target()
    fields: dict[str, Any] = {
        "options": ReplayOptions(speed=MAX_SPEED), "sink": SinkKind.NATS, "ack": AckMode.AUTO, "resume": None,
        "verify": False, "force": False, "metrics": None, "as_json": True, "store_mode": StoreMode.SAFE,
    }  # fmt: skip
    return Request(asked, target=target, **fields | values)


async def play(asked: Request, stderr: io.StringIO, **spoken: bool) -> int:
    talk = Reporter(stderr)
    for name, value in spoken.items():
        setattr(talk, name, value)
    return await run_replay(asked, plan_request(asked), talk)


async def newest(url: str) -> RunRecord:
    connection = await connect([url])
    record = await (await Runs.open(connection)).newest("replay", "MARKET_DATA")
    await connection.close()
    assert record is not None
    return record


async def test_a_replay_to_nats_is_stored_summed_up_and_recorded_as_complete(
    data: Path, nats_server: NatsServer, stderr: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await play(request(data, nats_server.url, verify=True), stderr, verbose=True) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["read"], summary["acked"], summary["differing"]) == (COUNT, COUNT, 0)
    assert len(await read_stream(nats_server.url)) == COUNT
    record = await newest(nats_server.url)
    assert (record.state, record.position, record.subjects) == (RunState.COMPLETE, COUNT, list(LEASED_SUBJECTS))
    assert record.run_id == summary["run_id"]
    assert record.options["schemas"] == list(SCHEMAS)
    said = stderr.getvalue()
    assert f"nats     {nats_server.url}, nats-server" in said
    assert "verifying: reading the events back" in said
    assert f"run {record.run_id} into MARKET_DATA after seq 0, acks fast ingest" in said


async def test_a_replay_whose_summary_nobody_reads_is_complete_nevertheless(
    data: Path, nats_server: NatsServer, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: Any, **__: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("spyctl.cli.replay_run.print_summary", nobody)
    with pytest.raises(BrokenPipeError):
        await play(request(data, nats_server.url), stderr)
    assert (await newest(nats_server.url)).state is RunState.COMPLETE


async def test_a_replay_to_standard_output_needs_no_server(
    data: Path, stderr: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await play(request(data, sink=SinkKind.STDOUT), stderr) == 0
    output = capsys.readouterr()
    subjects = [json.loads(line)["subject"] for line in output.out.splitlines()]
    assert subjects.count("market.futures.trades") == COUNT // 3
    assert len(subjects) == json.loads(output.err)["read"] == COUNT
    assert "nats" not in stderr.getvalue()


async def test_a_replay_that_was_cut_short_is_resumed_where_it_ended(
    data: Path, nats_server: NatsServer, stderr: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ReplayOptions(speed=Speed(0.001))
    asked = request(data, nats_server.url, options=options)
    playing = asyncio.create_task(play(asked, stderr))

    async def some_are_stored() -> bool:
        connection = await connect([nats_server.url])
        messages = (await ensure_stream(connection)).messages
        await connection.close()
        return messages > 0

    await eventually(some_are_stored)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert (await newest(nats_server.url)).state is RunState.FAILED
    capsys.readouterr()
    again = request(data, nats_server.url, resume="last")
    with pytest.raises(OtherRunError, match="had other files"):
        await play(replace(again, input=replace(again.input, schemas=("trades",))), stderr)
    assert await play(again, stderr) == 0
    resumed = json.loads(capsys.readouterr().out)["resumed_at"]
    assert 0 < resumed < COUNT
    assert f"{resumed:,} events of which are stored" in stderr.getvalue()
    assert len(await read_stream(nats_server.url)) == COUNT


async def test_events_of_another_source_refuse_a_replay_unless_forced(
    data: Path, nats_server: NatsServer, stderr: io.StringIO
) -> None:
    connection = await connect([nats_server.url])
    await ensure_stream(connection)
    await connection.jetstream().publish("market.stocks.trades", b'{"source":"polygon_ws"}')
    await connection.close()
    with pytest.raises(StreamBusyError, match="polygon_ws"):
        await play(request(data, nats_server.url), stderr)
    assert await play(request(data, nats_server.url, force=True), stderr) == 0


async def test_a_lost_lease_ends_a_replay_with_its_error_and_summary(
    data: Path, nats_server: NatsServer, stderr: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = request(data, nats_server.url, options=ReplayOptions(speed=Speed(0.001)), ack=AckMode.MESSAGE)
    playing = asyncio.create_task(play(asked, stderr))

    async def has_begun() -> bool:
        connection = await connect([nats_server.url])
        record = await (await Runs.open(connection)).newest("replay", "MARKET_DATA")
        await connection.close()
        return record is not None and record.checkpoint is not None

    await eventually(has_begun)
    connection = await connect([nats_server.url])
    async with publishing(connection, RunRequest("replay", LEASED_SUBJECTS, force=True)):
        assert await playing == 5
    await connection.close()
    assert json.loads(capsys.readouterr().out)["complete"] is False
    assert "took over market.futures.trades" in stderr.getvalue()


async def test_too_little_room_on_the_server_is_an_error_before_anything_is_published(
    data: Path, tmp_path: Path, stderr: io.StringIO
) -> None:
    extra = f'jetstream {{ store_dir: "{tmp_path / "nats"}", max_file_store: 10000000 }}'
    accounts = 'accounts { A { jetstream { max_file: 5000000, max_mem: 0 }, users: [{user: "a", password: "a"}] } }\n'
    server = NatsServer(tmp_path / "nats", jetstream=False, extra=f"{extra}\n{accounts}")
    server.start()
    try:
        asked = request(data, server.url.replace("nats://", "nats://a:a@"))
        plan = plan_request(asked)
        events = {"trades": 10**9}
        large = replace(plan, volume=replace(plan.volume, events=events, at_most=events))
        with pytest.raises(NoSpaceError, match="has 5.00 MB free, this replay needs about"):
            await run_replay(asked, large, Reporter(stderr))
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("embedded", "started", "text"),
    [
        (True, True, "nats     --embedded: starting nats-server 2.14.1 here\n"),
        (False, True, "nats     none named, none on localhost:4222: starting nats-server 2.14.1 here\n"),
        (False, False, "nats     none named, none on localhost:4222: sharing nats-server 2.14.1 here\n"),
    ],
)
def test_the_embedded_server_is_shown_with_the_reason_for_it(
    stderr: io.StringIO, embedded: bool, started: bool, text: str
) -> None:
    state = SimpleNamespace(port=4222, store="/store")
    reached = SimpleNamespace(
        connection=SimpleNamespace(server_version="2.14.1", on_refusal=lambda _: None),
        embedded=SimpleNamespace(state=state, started=started),
        why="none named, none on localhost:4222",
    )
    show_server(Reporter(stderr), cast(Any, reached), Target(embedded=embedded))
    assert stderr.getvalue().startswith(text)
    assert "127.0.0.1:4222, store /store" in stderr.getvalue()
    assert ("stopped at the end" in stderr.getvalue()) is started
