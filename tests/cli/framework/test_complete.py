"""What the Tab key offers, as a shell asks for it."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.conftest import Cli, Offered
from tests.support.records import MS, T0, trade, write_file
from tests.support.servers import NatsServer


def test_commands_and_options(offered: Offered) -> None:
    assert offered("re") == ["replay", "record"]
    assert set(offered("server ")) == {"credentials", "reset", "run", "status"}
    assert "--reorder-window" in offered("replay --re")
    assert "--password-file" in offered("tail --pass")
    assert offered("events Fut") == ["FuturesTrade"]


def test_pages_and_commands_of_help(offered: Offered) -> None:
    assert offered("help conn") == ["connections"]
    assert offered("help rep") == ["replay"]
    assert set(offered("help server ")) == {"credentials", "reset", "run", "status"}


def test_dates_are_those_of_the_data_folder(offered: Offered, tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0)])
    (tmp_path / "es").mkdir()
    (tmp_path / "es" / "glbx-mdp3-20251217.trades.dbn.zst").touch()
    assert offered("replay --date 20") == ["2025-12-16"]
    assert offered("replay --date la") == ["last"]
    assert offered("time-range --date 2025-12-16..2") == ["2025-12-16..2025-12-16"]
    assert offered("replay --data-dir es --date 20") == ["2025-12-17"]
    assert offered("replay --date 20", SPYCTL_DATA_DIR="es") == ["2025-12-17"]
    assert offered("replay --data-dir nowhere --date 20") == []


def test_symbols_are_those_of_the_data_folder(offered: Offered, tmp_path: Path) -> None:
    (tmp_path / "dbn-data").mkdir()
    (tmp_path / "dbn-data" / "symbology.json").write_text(json.dumps({"result": {"ES.c.0": [], "ESZ5": []}}))
    assert offered("replay --symbol E") == ["ES.c.0", "ESZ5", "ES"]
    assert offered("discover --symbol sp") == ["spread"]
    (tmp_path / "dbn-data" / "symbology.json").write_text("[]")
    assert offered("time-range --symbol E") == ["ES"]


def test_times_and_words_for_days(offered: Offered) -> None:
    assert offered("replay --start open") == ["open", "open-5m", "open+30m"]
    assert offered("tail --end cl") == ["close", "close-5m"]
    assert offered("replay --date y") == ["yesterday"]


def test_symbols_feeds_and_expiries_of_the_live_side(offered: Offered) -> None:
    assert offered("live --symbol Q") == offered("probe --underlying Q") == ["QQQ"]
    assert offered("live --futures N") == ["NQ.c.0"]
    assert offered("live --feeds stocks,") == ["stocks,options", "stocks,futures"]
    assert offered("live --expiry n") == ["next"]


def test_places_symbols_and_days_of_the_other_commands(offered: Offered) -> None:
    assert offered("tail --symbol S") == ["SPY"]
    assert offered("tail --from s") == ["start"]
    assert offered("fetch --symbol ES.") == ["ES.c.0", "ES.v.0", "ES.FUT"]
    assert offered("fetch --date 2025-12-15..y") == ["2025-12-15..yesterday"]
    assert offered("sample --date t") == ["today"]


def test_schemas_subjects_and_contexts(offered: Offered, tmp_path: Path) -> None:
    assert offered("replay --schema ") == ["trades", "mbp-10"]
    assert offered("tail op") == ["options", "options.trades", "options.quotes"]
    folder = tmp_path / "home" / ".config" / "nats" / "context"
    folder.mkdir(parents=True)
    (folder / "prod.json").write_text(json.dumps({"url": "nats://x"}))
    assert offered("tail --context p") == ["prod"]


@pytest.mark.integration
def test_runs_are_those_that_the_server_knows(
    offered: Offered, cli: Cli, tmp_path: Path, nats_server: NatsServer
) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0 + i * MS) for i in range(5)])
    ids = [
        json.loads(cli("replay", "-s", "max", "--json", "--nats-url", nats_server.url).stdout)["run_id"]
        for _ in range(2)
    ]
    assert offered("replay --resume ", NATS_URL=nats_server.url) == ids[::-1]
    assert offered(f"replay --nats-url {nats_server.url} --resume {ids[0][:2]}")[0].startswith(ids[0][:2])
    assert offered("replay --resume ") == []  # no server: nothing is started, nothing is said


def test_completing_imports_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys, atexit; sys.argv = ['spyctl']\n"
        "atexit.register(lambda: print('LOADED', *sorted(sys.modules), file=sys.stderr))\n"
        "from spyctl.cli.app import main; main()"
    )
    env = os.environ | {"_SPYCTL_COMPLETE": "complete_bash", "COMP_WORDS": "spyctl replay --da", "COMP_CWORD": "2"}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    loaded = set(result.stderr.partition("LOADED")[2].split())
    assert "--data-dir" in result.stdout
    assert (
        not {"numpy", "nats", "orjson", "databento", "databento_dbn", "prometheus_client", "asyncio", "pydantic"}
        & loaded
    )
    ours = {name for name in loaded if name.startswith("spyctl.") and not name.startswith("spyctl.cli")}
    packages = {name.rpartition(".")[0] for name in ours}
    assert ours - packages <= {
        "spyctl.bus.acks.mode", "spyctl.bus.checkpoint", "spyctl.bus.stand_in", "spyctl.bus.store_mode",
        "spyctl.errors", "spyctl.paths", "spyctl.probe.result", "spyctl.terminal.outgoing", "spyctl.terminal.tables",
        "spyctl.terminal.text", "spyctl.timing.notes",
    }  # fmt: skip


def test_what_is_offered_is_what_there_is() -> None:
    from spyctl.cli.framework import complete
    from spyctl.market.columns import SCHEMAS
    from spyctl.market.sessions import parse_time
    from spyctl.market.subjects import KINDS
    from spyctl.terminal.event_lines import subjects_of
    from spyctl.timing.clock import parse_speed

    assert sorted(complete.SCHEMAS) == sorted(SCHEMAS)
    assert sorted(complete.EVENT_TYPES) == sorted(kind.event_type.__name__ for kind in KINDS)
    assert {subject for name in complete.SUBJECTS for subject in subjects_of([name])} == set(subjects_of([]))
    for speed in complete.SPEEDS:
        parse_speed(speed)
    for time in complete.TIMES:
        parse_time(time, date(2025, 12, 16))


def test_choices_are_offered(offered: Offered) -> None:
    assert offered("replay --ack ") == ["auto", "fast", "message"]
    assert offered("replay --order r") == ["recv"]
    assert offered("replay --sink s") == ["stdout"]


def test_names_are_offered_whatever_their_case() -> None:
    from spyctl.cli.framework import complete

    assert complete.event_types("mbp") == ["MBP10"]
    assert complete.schemas("MBP") == ["mbp-10"]
    assert complete.speeds("1") == ["1", "10", "100"]
