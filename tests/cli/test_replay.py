"""``spyctl replay`` as its user meets it: plan, summary, exit codes, interruptions, bad input."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from xxhash import xxh3_128

from tests.conftest import Cli
from tests.support.pace import assert_speed_kept
from tests.support.records import MS, SECOND, T0, book, metadata, trade, write_file
from tests.support.servers import NatsServer, stored_bytes
from tests.support.stream import read_stream
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.integration


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "dbn-data"
    write_file(root, "trades", [trade(T0 + i * 20 * MS, sequence=i) for i in range(50)])
    write_file(root, "mbp-10", [book(T0 + i * MS, sequence=i) for i in range(1_000)], compressed=True)
    return root


def summary(result: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def errors(result: "subprocess.CompletedProcess[str]") -> list[str]:
    """Return the last two lines of stderr, which are the error and its remedy."""
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()[-2:]


def test_a_day_goes_onto_the_embedded_server_and_the_counts_agree(cli: Cli, data: Path) -> None:
    result = cli("replay", "--date", "2025-12-16", "--speed", "max", "--json")

    assert result.returncode == 0, result.stderr
    found = summary(result)
    assert found["read"] == found["published"] == found["acked"] == found["events"] == 1_050
    assert found["by_subject"] == {"market.futures.trades": 50, "market.futures.mbp10": 1_000}
    assert (found["first_seq"], found["last_seq"], found["stream"]) == (1, 1_050, "MARKET_DATA")
    assert (found["complete"], found["stopped_by"], found["resumed_at"]) == (True, None, None)
    assert found["first_event_utc"] == "2025-12-16T14:30:00.000000000Z"
    keys = (
        "run_id events by_subject read published acked duplicates rejected late reordered dropped gaps unresolved "
        "wall_s event_s quiet_skipped_s stalls stalled_s speed_asked speed_achieved events_per_s ack_ms stream "
        "first_seq last_seq digest resumed_at complete stopped_by"
    )
    assert set(keys.split()) <= set(found)
    assert "plan     2025-12-16  14:30:00 → 14:30:01 UTC  (09:30:00 → 09:30:01 New York)" in result.stderr
    assert "1,050 events: 1,000 mbp-10 + 50 trades of ES.c.0" in result.stderr
    assert found["acknowledged"] == "fast ingest"


async def test_both_ack_modes_store_the_same(cli: Cli, data: Path, nats_server: NatsServer) -> None:
    for how, name in (("fast", "fast ingest"), ("message", "per message")):
        result = cli("replay", "-s", "max", "--json", "--ack", how, "--prefix", how, "--nats-url", nats_server.url)
        assert summary(result)["acknowledged"] == name
    stored = [await read_stream(nats_server.url, f"{how}_MARKET_DATA") for how in ("fast", "message")]
    assert len(stored[0]) == 1_050
    assert [one[2] for one in stored[0]] == [one[2] for one in stored[1]]


def test_the_environment_alone_drives_a_bare_replay(cli: Cli, data: Path, nats_server: NatsServer) -> None:
    result = cli("replay", NATS_URL=nats_server.url, REPLAY_DATE="2025-12-16", REPLAY_SPEED="0")

    assert result.returncode == 0, result.stderr
    assert "1,050 read = 1,050 published = 1,050 acked" in result.stdout
    assert f"nats     {nats_server.url}, nats-server" in result.stderr


def test_verify_reads_every_event_back(cli: Cli, data: Path, nats_server: NatsServer) -> None:
    url = ("--nats-url", nats_server.url)
    for how in ("fast", "message"):
        result = cli("replay", "-s", "max", "--verify", "--ack", how, *url)
        assert result.returncode == 0, result.stderr
        assert "verify   1,050 stored, each identical to its event" in result.stdout
    found = summary(cli("replay", "-s", "max", "--verify", "--count", "100", "--json", *url))
    assert (found["published"], found["stored"], found["differing"]) == (100, 100, 0)


async def test_an_older_server_acknowledges_per_message(cli: Cli, data: Path, old_server: NatsServer) -> None:
    result = cli("replay", "-s", "max", "--json", "--nats-url", old_server.url)
    assert (result.returncode, summary(result)["acknowledged"]) == (0, "per message"), result.stderr
    assert len(await read_stream(old_server.url)) == 1_050
    result = cli("replay", "-s", "max", "--ack", "fast", "--nats-url", old_server.url)
    assert result.returncode == 2
    assert "older than 2.14" in errors(result)[0]


def test_the_summary_goes_to_stdout_and_the_rest_to_stderr(cli: Cli, data: Path) -> None:
    result = cli("replay", "--speed", "max")
    labels = [line.split()[0] for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert labels == ["done", "events", "trouble", "speed", "rate", "stream", "digest"]
    assert "no --date: every date in the folder" in result.stderr
    assert cli("replay", "--speed", "max", "-q").stderr == ""


async def test_the_same_input_gives_the_same_digest_and_is_stored_again(
    cli: Cli, data: Path, nats_server: NatsServer
) -> None:
    digests = {summary(cli("replay", "-s", "0", "--json", "--nats-url", nats_server.url))["digest"] for _ in range(2)}
    stored = await read_stream(nats_server.url)
    assert len(digests) == 1
    assert len(stored) == 2_100
    assert [one[2] for one in stored[:1_050]] == [one[2] for one in stored[1_050:]]


def test_the_digest_is_that_of_the_payload_lines(cli: Cli, data: Path) -> None:
    result = cli("replay", "--speed", "max", "--sink", "stdout", "--json")
    lines = [line.partition('"event":')[2][:-1] for line in result.stdout.splitlines()]
    expected = xxh3_128("".join(line + "\n" for line in lines).encode()).hexdigest()
    document = json.loads(result.stderr[result.stderr.index("{") :])
    assert (document["digest"], document["digest_algorithm"]) == (expected, "xxh3-128")
    assert [json.loads(line)["subject"] for line in result.stdout.splitlines()].count("market.futures.trades") == 50


def test_start_end_schema_and_count_select_events(cli: Cli, data: Path) -> None:
    result = cli("replay", "-s", "0", "--json", "--start", "09:30:00.1", "--end", "09:30:00.2", "--schema", "mbp10")
    assert summary(result)["by_subject"] == {"market.futures.trades": 0, "market.futures.mbp10": 100}
    result = cli("replay", "-s", "0", "--json", "--count", "7")
    assert result.returncode == 0
    assert (summary(result)["events"], summary(result)["stopped_by"]) == (7, "--count")


def test_a_trading_day_begins_the_evening_before(cli: Cli, data: Path) -> None:
    assert summary(cli("replay", "--trading-day", "2025-12-16", "-s", "0", "--json"))["events"] == 1_050


async def test_a_prefix_publishes_into_a_stream_of_its_own(cli: Cli, data: Path, nats_server: NatsServer) -> None:
    result = cli("replay", "-s", "0", "--json", "--prefix", "DRILL", "--nats-url", nats_server.url)
    assert summary(result)["stream"] == "DRILL_MARKET_DATA"
    stored = await read_stream(nats_server.url, "DRILL_MARKET_DATA")
    assert {subject for _, subject, _, _ in stored} == {"DRILL.market.futures.trades", "DRILL.market.futures.mbp10"}


def test_a_dry_run_prints_the_plan_and_starts_no_server(cli: Cli, data: Path, tmp_path: Path) -> None:
    result = cli("replay", "--dry-run", "--json", "--speed", "0.5")
    plan = json.loads(result.stdout)
    assert (plan["events"], plan["exact"], plan["by_schema"]) == (1_050, True, {"trades": 50, "mbp-10": 1_000})
    assert plan["wall_s"] == pytest.approx(1.998)
    assert not (tmp_path / "store").exists()


def test_half_speed_takes_twice_the_time(cli: Cli, data: Path) -> None:
    found = summary(cli("replay", "--speed", "0.5", "--json"))
    assert found["event_s"] == pytest.approx(0.999)
    assert found["wall_s"] > 1.99
    assert_speed_kept(found)


@pytest.mark.parametrize(("number", "code", "by"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_a_signal_drains_the_acks_and_prints_the_summary(
    environment: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer, number: int, code: int, by: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "spyctl", "replay", "--speed", "0.01", "--json", "--nats-url", nats_server.url],
        env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("nats "):
            break
    eventually_sync(lambda: stored_bytes(nats_server.folder) > 0)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    found = json.loads(out)
    assert process.returncode == code
    assert found["published"] == found["acked"] < 1_050
    assert (found["complete"], found["stopped_by"]) == (False, by)


def test_resuming_a_run_that_is_complete_is_fine_and_says_so(cli: Cli, data: Path, nats_server: NatsServer) -> None:
    played = ["replay", "-s", "max", "--nats-url", nats_server.url]
    run_id = summary(cli(*played, "--json"))["run_id"]
    again = cli(*played, "--resume")
    assert (again.returncode, again.stdout) == (0, "")
    assert f"resume   run {run_id} is complete: nothing is left of its 1,050 events" in again.stderr
    assert json.loads(cli(*played, "--resume", run_id, "--json").stdout)["complete"] is True
    named = cli(*played, "--resume", run_id, "--schema", "trades")  # nothing is left of it, whatever else is asked
    assert (named.returncode, f"run {run_id} is complete" in named.stderr) == (0, True)
    other = cli(*played, "--resume", "--start", "09:30")  # these events are not those of the newest run
    assert other.returncode == 1
    assert "is complete, and had other options: start was none, is 2025-12-16T14:30" in other.stderr


def test_raw_payloads_go_to_stdout_alone(cli: Cli, data: Path) -> None:
    lines = cli("replay", "-s", "max", "--sink", "stdout", "--raw", "--count", "3", "-q").stdout.splitlines()
    assert ["ts_event_ns" in json.loads(line) for line in lines] == [True] * 3
    refused = cli("replay", "--raw")
    assert (refused.returncode, "--sink stdout --raw" in refused.stderr) == (2, True)


def test_a_reader_that_leaves_early_is_not_an_error(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m spyctl replay -s 0 --sink stdout -q | head -n 1"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, len(result.stdout.splitlines()), result.stderr) == (0, 1, "")


def test_without_utf8_glyphs_become_ascii(cli: Cli, data: Path) -> None:
    result = cli("replay", "-s", "0", PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert "14:30:00 -> 14:30:01 UTC" in result.stderr
    assert "New York, run" in result.stdout


def test_a_closed_stdout_is_not_an_error(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m spyctl replay -s 0 >&-"
    result = subprocess.run(
        ["bash", "-c", command], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0
    assert "Traceback" not in result.stderr


def test_a_flipped_byte_in_a_sample_file_is_noticed(cli: Cli, tmp_path: Path) -> None:
    cli("sample", "--date", "2025-12-16", "--length", "1m")
    (path,) = (tmp_path / "dbn-data").glob("MBP-10/*")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    result = cli("replay", "-s", "0")
    assert result.returncode == 3
    assert "corrupt zstd data" in result.stderr


def test_the_plan_takes_count_and_missing_days_into_account(cli: Cli, data: Path) -> None:
    result = cli("replay", "--dry-run", "--date", "2025-12-12..2025-12-16", "--count", "10")
    assert "10 events: 9 mbp-10 + 1 trade" in result.stderr
    assert "no files for 2025-12-12, 2025-12-14, 2025-12-15" in result.stderr
    assert cli("replay", "--dry-run", "--start", "15:00").returncode == 6


def test_a_named_server_and_embedded_exclude_each_other(cli: Cli, data: Path, nats_server: NatsServer) -> None:
    result = cli("replay", "--embedded", "--nats-url", nats_server.url)
    assert result.returncode == 2
    result = cli("replay", "-s", "0", "--embedded", NATS_URL=nats_server.url)
    assert (result.returncode, "--embedded overrides NATS_URL" in result.stderr) == (0, True)


# --- what is worth a word


def test_rejected_late_and_unresolved_events_are_counted_and_exit_with_3(cli: Cli, tmp_path: Path) -> None:
    undefined = 2**63 - 1
    write_file(
        tmp_path / "dbn-data",
        "trades",
        [trade(), trade(price=undefined), trade(T0 - 5 * SECOND, T0 + MS), trade(T0 + 2 * MS, instrument_id=5)],
    )
    result = cli("replay", "-s", "0", "--json")
    found = summary(result)
    assert result.returncode == 3
    assert (found["read"], found["published"], found["rejected"]) == (4, 3, 1)
    assert (found["late"], found["unresolved"], found["unresolved_ids"]) == (1, 1, [5])
    assert found["rejected_by_reason"] == {"no_price": 1}


def test_unresolved_ids_alone_exit_with_0(cli: Cli, tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(instrument_id=5)])
    assert cli("replay", "-s", "0").returncode == 0


def test_order_recv_has_no_late_events(cli: Cli, tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(), trade(T0 - 5 * SECOND, T0 + MS)])
    result = cli("replay", "-s", "0", "--order", "recv", "--json")
    assert (result.returncode, summary(result)["late"]) == (0, 0)


def test_a_quiet_stretch_is_shortened_and_counted(cli: Cli, tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(), trade(T0 + 3_600 * SECOND)])
    found = summary(cli("replay", "--max-quiet", "50ms", "--json"))
    assert found["quiet_skipped_s"] == pytest.approx(3_599.95)
    assert found["wall_s"] < 60


# --- bad input


def test_a_truncated_file_is_published_up_to_the_damage(cli: Cli, data: Path) -> None:
    (path,) = data.glob("trades/*")
    path.write_bytes(path.read_bytes()[:-7])
    result = cli("replay", "-s", "0", "--json")
    assert result.returncode == 3
    assert (summary(result)["acked"], summary(result)["complete"]) == (1_049, False)
    error, remedy = errors(result)
    assert str(path.relative_to(data.parent)) in error
    assert "cut short inside record 50 at byte" in error
    assert remedy == "  try: download it again; what is whole (49 records) is published, acked"


def test_strict_exits_with_1_at_damage(cli: Cli, data: Path) -> None:
    (path,) = data.glob("trades/*")
    path.write_bytes(path.read_bytes()[:-7])
    result = cli("replay", "-s", "0", "--strict", "--json")
    assert result.returncode == 1
    assert summary(result)["read"] == summary(result)["published"] == summary(result)["acked"] >= 49


def test_files_of_other_schemas_or_days_do_not_matter(cli: Cli, data: Path) -> None:
    (data / "glbx-mdp3-20251216.definition.dbn").write_bytes(metadata("definition"))
    (data / "glbx-mdp3-20250101.trades.dbn").write_bytes(b"nonsense")
    assert cli("replay", "--date", "2025-12-16", "-s", "0").returncode == 0


def test_a_truncated_compressed_file_is_noticed(cli: Cli, data: Path) -> None:
    (path,) = data.glob("MBP-10/*")
    path.write_bytes(path.read_bytes()[:-7])
    result = cli("replay", "-s", "0", "--json")
    assert result.returncode == 3
    assert "cut short at byte" in errors(result)[0]
    assert summary(result)["read"] == summary(result)["acked"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04 not DBN", "does not begin with DBN"),
        (b"DBN\x09" + bytes(200), "DBN version 9, but this spyctl reads 1 to 3"),
        (b"", "only 0 bytes long"),
    ],
)
def test_a_replay_that_can_read_nothing_exits_with_1(cli: Cli, tmp_path: Path, content: bytes, said: str) -> None:
    folder = tmp_path / "dbn-data" / "trades"
    folder.mkdir(parents=True)
    (folder / "glbx-mdp3-20251216.trades.dbn").write_bytes(content)
    result = cli("replay", "-s", "0")
    assert result.returncode == 1
    assert said in result.stderr
    assert errors(result)[0].startswith("error: dbn-data/trades/glbx-mdp3-20251216.trades.dbn")


def test_a_replay_of_other_schemas_alone_has_no_such_data_and_names_them(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "dbn-data"
    folder.mkdir()
    for schema in ("mbp-1", "ohlcv-1d"):
        (folder / f"glbx-mdp3-20251216.{schema}.dbn").write_bytes(metadata(schema))
    result = cli("replay", "-s", "0")
    assert result.returncode == 6
    for schema in ("mbp-1", "ohlcv-1d"):
        assert f"20251216.{schema}.dbn (holds {schema}, not trades or mbp-10)" in errors(result)[0]


def test_an_unreadable_file_beside_good_ones_is_left_out_with_a_note(cli: Cli, data: Path) -> None:
    (data / "trades" / "odd.dbn").write_bytes(b"nonsense")
    result = cli("replay", "-s", "0", "--json")
    assert result.returncode == 3
    assert summary(result)["acked"] == 1_050
    assert "odd.dbn: does not begin with DBN" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said", "remedy"),
    [
        (["--date", "2025-12-17"], 6, "no data for 2025-12-17 in ./dbn-data, which holds 2025-12-16", "spyctl sample"),
        (["--data-dir", "nowhere"], 6, "there is no data folder nowhere", "--data-dir"),
        (["--schema", "ohlcv"], 2, "there is no schema 'ohlcv' here", "--schema trades"),
        (["--speed", "-1"], 2, "'-1' is not a speed", "10x"),
        (["--speed", "nan"], 2, "'nan' is not a speed", "10x"),
        (["--date", "16.12.2025"], 2, "'16.12.2025' is not a date", "2025-12-16"),
        (["--start", "noon"], 2, "'noon' is not a time", "09:30"),
        (["--start", "10:00", "--end", "09:30"], 2,
         "--start 10:00 (15:00 UTC) is after --end 09:30 (14:30 UTC)", "--start 09:30 --end 10:00"),
        (["--start", "15:00"], 6, "no event lies in that range", "time-range"),
        (["--start", "18:00", "--end", "19:30"], 2, "a UTC day ends at 19:00 or 20:00 New York", "--trading-day"),
        (["--start", "09:30", "--end", "09:30"], 2, "are the same instant", "later --end"),
        (["--tz", "Mars"], 2, "there is no time zone 'Mars'", "America/New_York"),
        (["--max-quiet", "soon"], 2, "'soon' is not a duration", "250ms"),
        (["--order", "random"], 2, "--order: 'random' is not one of 'event', 'recv'", "--order event"),
        (["--prefix", "a.b"], 2, "--prefix 'a.b' is not a subject token", "letters"),
        (["--count", "0"], 2, "count", "--help"),
        (["--xyzzy"], 2, "spyctl replay has no option --xyzzy", "spyctl replay --help"),
        (["--sped", "10"], 2, "spyctl replay has no option --sped", "spyctl replay --speed"),
        (["--nats-url", "http://x"], 2, "'http://x' is not a NATS URL", "nats://HOST:4222"),
        (["--nats-url", "nats://me:hunter2@h"], 2, "--nats-url holds a user or password", "NATS_URL"),
    ],
)  # fmt: skip
def test_a_bad_option_gets_one_sentence_and_one_remedy(
    cli: Cli, data: Path, arguments: list[str], code: int, said: str, remedy: str
) -> None:
    result = cli("replay", *arguments)
    error, advice = errors(result)
    assert result.returncode == code
    assert error.startswith("error: ")
    assert said in error
    assert advice.startswith("  try: ")
    assert remedy in advice
    assert "hunter2" not in result.stderr
    assert result.stdout == ""


def test_a_named_server_that_does_not_answer_is_exit_5(cli: Cli, data: Path, free_port: int) -> None:
    result = cli("replay", "--nats-url", f"nats://127.0.0.1:{free_port}")
    assert result.returncode == 5
    assert f"no NATS server answers on nats://127.0.0.1:{free_port}" in errors(result)[0]


def test_a_password_from_the_environment_is_never_shown(cli: Cli, data: Path, free_port: int) -> None:
    result = cli("replay", NATS_URL=f"nats://me:hunter2@127.0.0.1:{free_port}")
    assert result.returncode == 5
    assert "hunter2" not in result.stdout + result.stderr


def test_a_server_without_jetstream_is_exit_5(cli: Cli, data: Path, tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "plain", jetstream=False).start()
    try:
        result = cli("replay", "--nats-url", server.url)
    finally:
        server.stop()
    assert result.returncode == 5
    assert "JetStream" in errors(result)[0]


def test_a_server_that_takes_only_small_messages_is_exit_5(cli: Cli, data: Path, tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "small", extra="max_payload: 900").start()
    try:
        result = cli("replay", "--nats-url", server.url)
    finally:
        server.stop()
    assert result.returncode == 5
    assert errors(result) == [
        f"error: the server at {server.url} takes messages of 900 bytes at most, 16,384 are needed",
        "  try: raise max_payload in its configuration",
    ]


async def test_a_stream_that_does_not_fit_is_exit_5(cli: Cli, data: Path, nats_server: NatsServer) -> None:
    from spyctl.bus.connection import connect
    from spyctl.bus.stream import desired_config

    connection = await connect([nats_server.url])
    await connection.api("STREAM.CREATE.MARKET_DATA", desired_config() | {"storage": "memory"})
    await connection.close()
    result = cli("replay", "--nats-url", nats_server.url)
    assert result.returncode == 5
    assert "keeps messages in memory; spyctl needs file" in errors(result)[0]
    assert "nats stream rm MARKET_DATA (it holds 0 messages)" in errors(result)[1]


def test_too_little_disk_space_is_exit_5(cli: Cli, data: Path, tmp_path: Path) -> None:
    account = "accounts { A: { jetstream: { max_file: 20KB }, users: [{ user: a, password: a }] } }\nno_auth_user: a"
    server = NatsServer(tmp_path / "small", extra=account).start()
    try:
        result = cli("replay", "--nats-url", server.url)
    finally:
        server.stop()
    assert result.returncode == 5
    assert "free, this replay needs about" in errors(result)[0]
    assert errors(result)[1].startswith("  try: --start and --end for less of the day, or raise the account's limits")


def test_two_replays_at_once_do_not_mix(
    cli: Cli, environment: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer
) -> None:
    first = subprocess.Popen(
        [sys.executable, "-m", "spyctl", "replay", "--speed", "0.001", "--nats-url", nats_server.url],
        env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        kv = nats_server.folder / "jetstream" / "$G" / "streams" / "KV_SPYCTL"
        eventually_sync(kv.exists)
        eventually_sync(lambda: cli("replay", "--nats-url", nats_server.url, "--count", "1").returncode == 5)
        result = cli("replay", "--nats-url", nats_server.url, "--count", "1", "-s", "0")
        assert "has been publishing to market.futures.trades" in errors(result)[0]
        assert "--prefix" in errors(result)[1]
        assert cli("replay", "--nats-url", nats_server.url, "--count", "1", "--prefix", "P", "-s", "0").returncode == 0
    finally:
        first.kill()
        first.wait()
    assert cli("replay", "--nats-url", nats_server.url, "-s", "0").returncode == 0  # its lease died with it


def test_the_embedded_server_ends_with_the_replay(cli: Cli, data: Path, tmp_path: Path) -> None:
    result = cli("replay", "-s", "0")
    assert "starting nats-server" in result.stderr
    eventually_sync(lambda: "stopped" in cli("server", "status").stdout)
    assert list((tmp_path / "store" / "jetstream").iterdir())  # the events stay for the next command
