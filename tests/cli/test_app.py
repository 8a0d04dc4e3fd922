"""How the program behaves beside its work: signals, pipes, colours, words, exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Cli
from tests.support.records import MS, T0, trade, write_file
from tests.support.servers import NatsServer, stored_bytes, unused_port
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.integration
SPYCTL = [sys.executable, "-m", "spyctl"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0 + i * MS) for i in range(200)])
    return tmp_path / "dbn-data"


# --- exit codes, one by one


def test_exit_0_when_all_went_well(cli: Cli, data: Path) -> None:
    assert cli("replay", "--speed", "max").returncode == 0


def test_exit_1_when_nothing_could_be_read(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "dbn-data").mkdir()
    (tmp_path / "dbn-data" / "glbx-mdp3-20251216.trades.dbn").write_bytes(b"nothing of the kind")
    assert cli("replay").returncode == 1


def test_exit_2_for_a_wrong_option(cli: Cli, data: Path) -> None:
    assert cli("replay", "--speed", "-1").returncode == 2


def test_exit_3_when_something_is_missing_and_1_when_that_must_not_be(cli: Cli, data: Path) -> None:
    path = next((data / "trades").iterdir())
    path.write_bytes(path.read_bytes()[:-10])
    assert cli("replay", "--speed", "max").returncode == 3
    assert cli("replay", "--speed", "max", "--strict").returncode == 1


def test_exit_4_without_a_key(cli: Cli) -> None:
    assert cli("live").returncode == 4


def test_exit_5_without_nats(cli: Cli, data: Path) -> None:
    assert cli("replay", "--nats-url", f"nats://127.0.0.1:{unused_port()}").returncode == 5


def test_exit_6_without_such_data(cli: Cli, data: Path) -> None:
    assert cli("replay", "--date", "1999-01-04").returncode == 6


@pytest.mark.parametrize(
    ("number", "code", "by"),
    [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGHUP, 143, "SIGHUP")],
)
def test_exit_130_and_143_sum_up_first(
    environment: dict[str, str], data: Path, tmp_path: Path, number: int, code: int, by: str
) -> None:
    process = subprocess.Popen(
        [*SPYCTL, "replay", "--speed", "0.01", "--json", "--log-json"], env=environment, cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if '"nats: ' in line:
            break
    eventually_sync(lambda: stored_bytes(tmp_path / "store") > 0)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == code
    summary = json.loads(out)
    assert (summary["stopped_by"], summary["complete"]) == (by, False)
    assert summary["published"] == summary["acked"]


def test_a_second_signal_ends_at_once(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats").start()
    process = subprocess.Popen(
        [*SPYCTL, "replay", "--speed", "0.01", "--nats-url", server.url], env=environment, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        eventually_sync(lambda: stored_bytes(server.folder) > 0)
        server.process.send_signal(signal.SIGSTOP)  # nothing will be acknowledged any more
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        for line in process.stderr:
            if "stopping" in line:
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    finally:
        server.process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()
        server.stop()


# --- pipes


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["events"],
        ["discover", "--json"],
        ["help", "environment"],
        ["replay", "--speed", "max", "--json", "-q"],
        ["replay", "--speed", "max", "--sink", "stdout", "-q"],
        ["config", "show"],
    ],
    ids=" ".join,
)
def test_a_reader_that_leaves_is_no_error(
    environment: dict[str, str], data: Path, tmp_path: Path, arguments: list[str]
) -> None:
    read, write = os.pipe()
    os.close(read)  # whatever is written meets a closed pipe
    with os.fdopen(write, "wb") as pipe:
        result = subprocess.run(
            [*SPYCTL, *arguments], env=environment, cwd=tmp_path, stdout=pipe, stderr=subprocess.PIPE, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "rror" not in result.stderr


def test_talk_that_nobody_hears_does_not_stop_a_replay(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        result = subprocess.run(
            [*SPYCTL, "replay", "--speed", "max", "--json"], env=environment, cwd=tmp_path, stdout=subprocess.PIPE,
            stderr=pipe, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert result.returncode == 0
    assert json.loads(result.stdout)["acked"] == 200


# --- odd machines


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)])
def test_a_signal_while_the_program_is_loaded_is_answered(
    environment: dict[str, str], tmp_path: Path, number: int, code: int
) -> None:
    program = (
        "import sys, time, types\n"
        "import spyctl.__main__ as program\n"
        "app = types.ModuleType('spyctl.cli.app')\n"
        "def slow(): print('loaded', flush=True); time.sleep(60)\n"
        "app.main = slow; sys.modules['spyctl.cli.app'] = app\n"
        "import spyctl.cli; spyctl.cli.app = app; program.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "loaded\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (code, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)])
def test_a_signal_is_answered_where_no_exception_gets_out(
    environment: dict[str, str], tmp_path: Path, number: int, code: int
) -> None:
    program = (
        "import os, sys, types, weakref\n"
        "import spyctl.__main__ as program\n"
        "class Module: ...\n"
        "def load():\n"
        "    module = Module()\n"
        f"    forgotten = weakref.ref(module, lambda _: os.kill(os.getpid(), {number.value}))\n"
        "    del module\n"
        "    print('went on')\n"
        "app = types.ModuleType('spyctl.cli.app')\n"
        "app.main = load; sys.modules['spyctl.cli.app'] = app\n"
        "import spyctl.cli; spyctl.cli.app = app; program.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (code, "", "")


@pytest.mark.parametrize("arguments", [["--help"], ["discover", "--json"], ["replay", "--speed", "max", "--json"]])
def test_a_full_disk_under_stdout_is_one_sentence(
    environment: dict[str, str], data: Path, tmp_path: Path, arguments: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*SPYCTL, *arguments, "-q"], env=environment, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.startswith("error: standard output: No space left on device\n  try: ")
    assert result.stderr.count("\n") == 2


def test_many_inherited_files_are_no_obstacle(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    program = (
        "import os, resource, sys\n"
        "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, most), most))\n"
        "for _ in range(1_100): os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'spyctl', *sys.argv[1:]])"
    )
    for arguments in (["replay", "--speed", "max", "--json"], ["live", "--sim", "--for", "1s", "--json"]):
        result = subprocess.run(
            [sys.executable, "-c", program, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr


def test_nothing_depends_on_docstrings_and_assertions(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    for arguments in (
        ["--help"],
        ["replay", "--help"],
        ["replay", "--speed", "max", "--json"],
        ["tail", "--until-end"],
        ["events"],
    ):
        result = subprocess.run(
            [sys.executable, "-OO", "-m", "spyctl", *arguments], env=environment, cwd=tmp_path, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert "(ts_event_ns" not in result.stdout  # the signature of an event, which is no description


def test_a_user_without_a_home_folder_is_given_one(environment: dict[str, str], data: Path, tmp_path: Path) -> None:
    unknown = "import pwd\ndef no(*_): raise KeyError\npwd.getpwuid = no\nfrom spyctl.cli.app import main; main()"
    homeless = {name: value for name, value in environment.items() if name != "HOME"} | {"TMPDIR": str(tmp_path)}
    for arguments in (["discover", "--check"], ["replay", "--speed", "max", "--json"]):
        result = subprocess.run(
            [sys.executable, "-c", unknown, *arguments], env=homeless, cwd=tmp_path, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert f"! there is no home folder, so {tmp_path}/spyctl-{os.getuid()} is used" in result.stderr
    assert not (tmp_path / "~").exists()


# --- words


def test_quiet_and_verbose_go_before_and_after_the_verb(cli: Cli, data: Path) -> None:
    assert cli("-q", "replay", "--dry-run").stderr == ""
    assert cli("replay", "--dry-run", "-q").stderr == ""
    assert cli("replay", "--dry-run").stderr
    for arguments in (["-v", "discover"], ["discover", "-v"]):
        assert "instrument" in cli(*arguments).stdout
    assert "file " in cli("replay", "-v", "--dry-run").stderr


def test_a_log_is_a_json_object_a_line(cli: Cli, data: Path) -> None:
    path = next((data / "trades").iterdir())
    path.write_bytes(path.read_bytes()[:-10])
    result = cli("replay", "--speed", "max", "--log-json")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert {line["level"] for line in lines} == {"info", "warning", "error"}
    assert all(re.fullmatch(r"20\d\d-.*Z", line["time"]) and line["text"] for line in lines)
    assert "download it again" in next(line["try"] for line in lines if line["level"] == "error")
    assert "\x1b" not in result.stderr
    by_variable = cli("replay", "--speed", "nonsense", SPYCTL_LOG_JSON="1")
    assert json.loads(by_variable.stderr)["level"] == "error"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["replay", "--date", "1999-01-04", "--json"], 6),
        (["replay", "--nonsense", "--json"], 2),
        (["discover", "--data-dir", "nowhere", "--json"], 6),
        (["time-range", "--date", "1999-01-04", "--json"], 6),
        (["fetch", "--date", "2025-12-16", "--json"], 4),
        (["live", "--json"], 4),
        (["events", "Nonsense", "--json"], 2),
        (["tail", "--json", "--nats-url", "nats://127.0.0.1:1"], 5),
    ],
)
def test_an_error_is_the_one_document_where_json_is_wanted(
    cli: Cli, data: Path, arguments: list[str], code: int
) -> None:
    result = cli(*arguments)
    document = json.loads(result.stdout)
    assert (result.returncode, document["exit_code"]) == (code, code)
    assert f"error: {document['error']}\n  try: {document['try']}\n" in result.stderr


def test_a_document_that_is_written_stays_the_only_one(cli: Cli, data: Path) -> None:
    result = cli("replay", "--dry-run", "--json", "--start", "12:00", "--end", "12:01")
    assert (result.returncode, "no event lies in that range" in result.stderr) == (6, True)
    assert json.loads(result.stdout)["events"] == 0


def test_colours_are_asked_for_or_refused(cli: Cli, data: Path) -> None:
    colour = "\x1b["
    assert colour not in cli("replay", "--dry-run").stderr  # a pipe
    assert colour in cli("replay", "--dry-run", FORCE_COLOR="1").stderr
    assert colour not in cli("replay", "--dry-run", FORCE_COLOR="1", NO_COLOR="1").stderr
    assert colour not in cli("replay", "--dry-run", "--plain", FORCE_COLOR="1").stderr
    assert colour in cli("replay", "--help", FORCE_COLOR="1").stdout


def test_glyphs_are_ascii_where_the_output_is_not_utf8(cli: Cli, data: Path) -> None:
    ascii_only = {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    for arguments in (["--help"], ["replay", "--speed", "max"], ["discover"]):
        result = cli(*arguments, **ascii_only)
        assert result.returncode == 0, result.stderr
        assert (result.stdout + result.stderr).isascii()
        assert "?" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "error", "remedy"),
    [
        (["repaly"], "spyctl has no command 'repaly'", "spyctl replay"),
        (["server", "rnu"], "spyctl server has no command 'rnu'", "spyctl server run"),
        (["tail", "--untl-end"], "spyctl tail has no option --untl-end", "spyctl tail --until-end"),
        (["tail", "--count", "many"], "--count: 'many' is not a whole number", "spyctl tail --help"),
        (["time-range"], "missing option '--date'", "spyctl time-range --help"),
        (["sample", "extra"], "unexpected extra argument", "spyctl sample --help"),
    ],
)
def test_usage_errors_are_the_same_two_lines(cli: Cli, arguments: list[str], error: str, remedy: str) -> None:
    result = cli(*arguments)
    assert result.returncode == 2
    first, second = result.stderr.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second == f"  try: {remedy}"


def test_a_defect_is_a_sentence_and_a_traceback_only_on_demand_and_never_a_secret(
    environment: dict[str, str], tmp_path: Path
) -> None:
    secret = "key-of-the-test-1234"
    code = (
        "import spyctl.cli.events as e, spyctl.market.json_schema as w, os\n"
        "def broken(kind): raise RuntimeError('no ' + os.environ['POLYGON_API_KEY'] + ' nats://a:pw@host')\n"
        "w.json_schema = broken\n"
        "from spyctl.cli.app import main; main()"
    )
    for extra, traced in (([], False), (["--debug"], True)):
        result = subprocess.run(
            [sys.executable, "-c", code, "events", "Gap", *extra], env=environment | {"POLYGON_API_KEY": secret},
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 1
        assert "error: this is a bug: RuntimeError" in result.stderr
        assert ("Traceback" in result.stderr) is traced
        assert secret not in result.stderr
        assert "pw@" not in result.stderr


# --- the program as a whole


def test_bare_spyctl_prints_the_help(cli: Cli) -> None:
    bare, helped = cli(), cli("--help")
    assert (bare.returncode, helped.returncode) == (0, 0)
    assert bare.stdout == helped.stdout
    assert "exit codes: 0 ok" in bare.stdout


def test_version_lists_the_libraries_and_has_an_entry_in_the_changelog(cli: Cli) -> None:
    from spyctl import __version__

    lines = cli("--version").stdout.splitlines()
    assert lines[0] == f"spyctl {__version__}"
    assert {"python", "nats-server", "nats-py", "databento-dbn"} <= {line.split()[0] for line in lines}
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_an_unknown_command_gets_a_suggestion(cli: Cli) -> None:
    result = cli("repaly")
    assert result.returncode == 2
    assert result.stderr == "error: spyctl has no command 'repaly'\n  try: spyctl replay\n"


def test_help_imports_nothing_but_the_command_line() -> None:
    code = (
        "import sys; from spyctl.cli.app import run; run(['replay', '--help'])\n"
        "print(sorted({'numpy', 'nats', 'orjson', 'zstandard', 'databento_dbn', 'databento'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_importing_the_package_imports_nothing() -> None:
    code = "import sys, spyctl; print(sorted(name for name in sys.modules if name.startswith('spyctl')))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['spyctl']"


def test_the_api_is_importable_from_the_package() -> None:
    import spyctl

    assert [getattr(spyctl, name).__name__ for name in spyctl.__all__ if name != "__version__"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = spyctl.nothing


# What takes 10 ms or more to import; asyncio stands for ssl, subprocess and logging too.
HEAVY = {
    "numpy", "numpy.ma", "databento", "databento_dbn", "zstandard", "pyarrow", "pandas", "nats", "websockets",
    "aiohttp.client", "polygon", "urllib3", "prometheus_client", "holidays", "pydantic", "rich.console", "asyncio",
}  # fmt: skip
REPORT_MODULES = "import atexit, sys\natexit.register(lambda: print('LOADED', *sys.modules, file=sys.stderr))\n"
FILES = {"numpy", "databento_dbn", "zstandard"}


LOADED_BY = [
    (["--help"], set()),
    (["replay", "--help"], set()),
    (["config", "show"], set()),
    (["events", "MBP10"], set()),
    (["help", "environment"], set()),
    (["help", "events"], set()),
    (["server", "status"], {"asyncio"}),
    (["discover"], FILES | {"holidays"}),
    (["time-range", "--date", "last"], FILES),
    (["tail", "--nats-url", "nats://127.0.0.1:1"], {"nats", "asyncio", "rich.console"}),
    (["replay", "--dry-run"], FILES | {"nats", "asyncio"}),
]


def loaded_by(arguments: list[str], environment: dict[str, str], folder: Path) -> set[str]:
    """Run a command in a process of its own; returns the heavy modules that it loaded."""
    code = f"{REPORT_MODULES}from spyctl.cli.app import run; run({arguments!r})"
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    return HEAVY & set(result.stderr.partition("LOADED")[2].split())


@pytest.mark.parametrize(("arguments", "heavy"), LOADED_BY, ids=[" ".join(arguments) for arguments, _ in LOADED_BY])
def test_a_command_loads_only_the_heavy_modules_it_needs(
    environment: dict[str, str], tmp_path: Path, arguments: list[str], heavy: set[str]
) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0)])
    assert loaded_by(arguments, environment, tmp_path) <= heavy


@pytest.mark.integration
def test_a_replay_loads_only_what_it_needs(
    environment: dict[str, str], tmp_path: Path, nats_server: NatsServer
) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0)])
    arguments = ["replay", "-s", "max", "--json", "--nats-url", nats_server.url]
    assert loaded_by(arguments, environment, tmp_path) <= FILES | {"nats", "asyncio", "rich.console"}


@pytest.mark.parametrize(
    ("arguments", "settings", "message", "remedy"),
    [
        (["replay"], {"REPLAY_SPEED": "fast"}, "REPLAY_SPEED: 'fast' is not a speed", "write 1, 10x"),
        (["replay"], {"REPLAY_ORDER": "fast"}, "REPLAY_ORDER: 'fast' is not one of", "--order event"),
        (["replay", "--speed", "fast"], {}, "error: 'fast' is not a speed", "write 1, 10x"),
        (["replay", "2025-12-16"], {}, "takes no argument: 2025-12-16", "spyctl replay --date 2025-12-16"),
        (["--json", "replay"], {}, "spyctl has no option --json", "behind the command: spyctl replay --json"),
        (["live", "--sim-rate", "abc"], {}, "--sim-rate: 'abc' is not a number", "spyctl live --help"),
        (["replay", "--count", "1.5"], {}, "--count: '1.5' is not a whole number", "spyctl replay --help"),
        (["replay", "--count", "0"], {}, "--count: 0 is less than 1", "spyctl replay --help"),
        (["tail"], {"SPYCTL_PORT": "99999"}, "SPYCTL_PORT: 99999 is more than 65535", "spyctl tail --help"),
    ],
)  # fmt: skip
def test_an_error_says_where_a_value_comes_from_and_what_was_meant(
    cli: Cli, arguments: list[str], settings: dict[str, str], message: str, remedy: str
) -> None:
    result = cli(*arguments, **settings)
    assert result.returncode == 2
    assert message in result.stderr
    assert f"try: {remedy}" in result.stderr


def test_an_error_names_the_file_that_sets_a_value(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "spyctl.toml").write_text('speed = "fast"\norder = "fast"\n')
    assert "speed in ./spyctl.toml: 'fast' is not a speed" in cli("replay", "--order", "event").stderr
    assert "order in ./spyctl.toml: 'fast' is not one of" in cli("replay", "--speed", "1").stderr
