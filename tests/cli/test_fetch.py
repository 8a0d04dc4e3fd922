"""``spyctl fetch`` against a loopback server that speaks the vendor's HTTP API."""

import json
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.support.databento import KEY, FakeDatabento, serving_databento
from tests.support.records import (
    DAY,
    DAY_NS,
    MS,
    SECOND,
    T0,
    book,
    content,
    metadata,
    trade,
    write_file,
    zstd_frames,
)  # fmt: skip
from tests.support.servers import unused_port
from tests.support.terminal import Terminal

pytestmark = pytest.mark.integration

NEXT = DAY + timedelta(days=1)


def packed(schema: str, day: date, count: int) -> tuple[bytes, int]:
    shift = (day - DAY).days * 86_400 * SECOND
    make = trade if schema == "trades" else book
    head = metadata(schema, start=DAY_NS + shift, end=DAY_NS + shift + 86_400 * SECOND)
    records = [make(T0 + shift + i * MS, sequence=i) for i in range(count)]
    return zstd_frames(content(records, head), len(head)), count


@pytest.fixture
def fake() -> FakeDatabento:
    days = {(day, schema): packed(schema, day, 300) for day in (DAY, NEXT) for schema in ("trades", "mbp-10")}
    return FakeDatabento(days, {NEXT: "degraded"})


@pytest.fixture
def served(fake: FakeDatabento, tmp_path: Path, environment: dict[str, str]) -> Iterator[FakeDatabento]:
    with serving_databento(fake, tmp_path / "tls") as variables:
        environment.update(variables)
        yield fake


BOTH = ("--date", f"{DAY}..{NEXT}")


def test_a_dry_run_says_what_it_comes_to_and_buys_nothing(cli: Cli, served: FakeDatabento, tmp_path: Path) -> None:
    result = cli("fetch", *BOTH, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "1,200 records, 58 kB unpacked, $1.00" in result.stderr
    assert "Databento calls 2025-12-17 degraded" in result.stderr
    assert not any(path.endswith(("get_range", "submit_job")) for path in served.paths())
    assert not (tmp_path / "dbn-data").exists()
    document = json.loads(cli("fetch", *BOTH, "--dry-run", "--json").stdout)
    assert (document["records"], document["cost_usd"], document["files"]) == (1_200, 1.0, [])


def test_a_dry_run_without_a_key_lists_what_is_missing(cli: Cli, served: FakeDatabento, tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0)])
    asked = ("--date", "2025-12-16..2025-12-21", "--schema", "trades", "--dry-run")
    result = cli("fetch", *asked, DATABENTO_API_KEY="")
    assert result.returncode == 0, result.stderr
    assert " 2025-12-17..12-19 trades ES.c.0\n" in result.stderr
    assert " 2025-12-21        trades ES.c.0\n" in result.stderr
    assert "note: you already have 2025-12-16 trades" in result.stderr
    assert "note: 2025-12-20 is a day without trading: left out" in result.stderr
    assert "what this costs is shown where DATABENTO_API_KEY is set" in result.stderr
    assert served.paths() == []
    document = json.loads(cli("fetch", *asked, "--json", DATABENTO_API_KEY="").stdout)
    assert (document["cost_usd"], [order["first"] for order in document["orders"]]) == (
        None, ["2025-12-17", "2025-12-21"],
    )  # fmt: skip


@pytest.mark.parametrize("how", [(), ("--batch",)], ids=["streaming", "batch"])
def test_missing_days_are_bought_checked_and_laid_out(
    cli: Cli, served: FakeDatabento, tmp_path: Path, how: tuple[str, ...]
) -> None:
    served.polls_until_done = 0
    result = cli("fetch", *BOTH, "--yes", *how)
    assert result.returncode == 0, result.stderr
    assert "done     4 files, 1,200 records, " in result.stdout
    root = tmp_path / "dbn-data"
    names = {path.relative_to(root).as_posix() for path in root.rglob("*.dbn.zst")}
    assert names == {
        f"{folder}/glbx-mdp3-{day:%Y%m%d}.{schema}.dbn.zst"
        for day in (DAY, NEXT)
        for schema, folder in (("trades", "trades"), ("mbp-10", "MBP-10"))
    }
    checked = cli("discover", "--check")
    assert checked.returncode == 0, checked.stderr
    assert "checked: 4 good by sha256" in checked.stdout
    assert checked.stdout.count("degraded") == 2

    bought = [path for path in served.paths() if path.endswith(("get_range", "submit_job"))]
    again = cli("fetch", *BOTH, "--yes", *how)
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to download" in again.stderr
    assert bought == [path for path in served.paths() if path.endswith(("get_range", "submit_job"))]


def test_a_download_that_breaks_off_is_never_taken_for_whole(cli: Cli, served: FakeDatabento, tmp_path: Path) -> None:
    # Cut behind a frame, so that only the vendor's count tells; each attempt ends there.
    data, _ = served.days[DAY, "trades"]
    head = metadata("trades")
    served.days[DAY, "trades"] = (data, 299)  # the vendor counts one less than the file holds
    result = cli("fetch", "--date", str(DAY), "--schema", "trades", "--yes")
    assert result.returncode == 1
    assert "holds 300 records, but Databento counts 299" in result.stderr
    assert not list((tmp_path / "dbn-data").rglob("*.zst"))
    assert len(head) < len(data)

    served.days[DAY, "trades"] = (data, 300)
    served.cut["get_range"] = [len(data) // 2]
    result = cli("fetch", "--date", str(DAY), "--schema", "trades", "--yes")
    assert (result.returncode, "asking again is billed again" in result.stderr) == (1, True)
    assert served.paths().count("/v0/timeseries.get_range") == 2  # not behind the user's back
    assert not list((tmp_path / "dbn-data").rglob("*.zst"))
    assert cli("fetch", "--date", str(DAY), "--schema", "trades", "--yes").returncode == 0


def test_data_that_was_paid_for_is_not_overwritten(cli: Cli, served: FakeDatabento, tmp_path: Path) -> None:
    first = cli("fetch", "--date", str(DAY), "--schema", "trades", "--yes")
    assert first.returncode == 0, first.stderr
    second = cli("fetch", "--date", str(DAY), "--schema", "trades", "--symbol", "NQ.c.0", "--yes")
    assert second.returncode == 0, second.stderr
    names = sorted(path.name for path in (tmp_path / "dbn-data" / "trades").glob("*.zst"))
    assert names == ["glbx-mdp3-20251216.trades.NQ.c.0.dbn.zst", "glbx-mdp3-20251216.trades.dbn.zst"]


def test_a_gateway_holds_no_secret(cli: Cli) -> None:
    url = "https://user:s3cr3t@hist.example"
    for arguments in (("fetch", "--date", str(DAY)), ("probe", "--rest-only")):
        for result in (cli(*arguments, "--gateway", url), cli(*arguments, DATABENTO_GATEWAY=url)):
            assert result.returncode == 2
            assert "s3cr3t" not in result.stdout + result.stderr


def test_a_batch_job_goes_on_where_it_ended(cli: Cli, served: FakeDatabento, tmp_path: Path) -> None:
    served.corrupt = True
    served.polls_until_done = 0
    result = cli("fetch", "--date", str(DAY), "--schema", "trades", "--yes", "--batch")
    assert result.returncode == 1
    assert "sha256" in result.stderr
    more = cli("fetch", "--date", f"{DAY}..{NEXT}", "--schema", "trades", "--yes", "--batch")
    assert (more.returncode, len(served.jobs)) == (2, 1)  # that day is not bought twice
    assert f"fetch --batch --date {DAY}..{DAY} first" in more.stderr
    served.corrupt = False
    served.cut["trades.dbn.zst"] = [100]
    result = cli("fetch", "--date", str(DAY), "--schema", "trades", "--yes", "--batch")
    assert result.returncode == 0, result.stderr
    assert "resuming batch job" in result.stderr
    assert len(served.jobs) == 1
    assert (tmp_path / "dbn-data/trades/glbx-mdp3-20251216.trades.dbn.zst").read_bytes() == served.days[DAY, "trades"][
        0
    ]


@pytest.mark.parametrize(
    ("arguments", "failure", "code", "said"),
    [
        ((), None, 2, "there is nobody to ask whether to buy this"),
        (("--yes", "--max-cost", "0.1"), None, 1, "that costs $0.50, more than --max-cost 0.1"),
        (("--yes",), ("get_cost", 402, "out of credit"), 4, "402: error"),
        (("--yes",), ("get_record_count", 422, "None of the symbols could be resolved"), 6, "answers 422"),
        (("--yes", "--date", "2025-12-20..2025-12-19"), None, 2, "ends before it begins"),
    ],
)
def test_what_is_not_to_be_bought(
    cli: Cli,
    served: FakeDatabento,
    arguments: tuple[str, ...],
    failure: tuple[str, int, str] | None,
    code: int,
    said: str,
) -> None:
    if failure:
        served.failures.append(failure)
    result = cli("fetch", "--date", str(DAY), *arguments)
    assert (result.returncode, said in result.stderr) == (code, True), result.stderr
    assert not any(path.endswith(("get_range", "submit_job")) for path in served.paths())


def test_a_busy_server_is_asked_again(cli: Cli, served: FakeDatabento) -> None:
    served.failures += [("get_cost", 503, "overloaded"), ("get_range", 429, "slow down")]
    result = cli("fetch", "--date", str(DAY), "--schema", "trades", "--yes")
    assert result.returncode == 0, result.stderr


def test_no_key_a_bad_key_and_no_network(cli: Cli, served: FakeDatabento) -> None:
    assert cli("fetch", "--date", str(DAY), DATABENTO_API_KEY="").returncode == 4
    bad = cli("fetch", "--date", str(DAY), DATABENTO_API_KEY="db-" + "0" * 29)
    assert bad.returncode == 4
    assert "answers 401" in bad.stderr
    assert "0" * 29 not in bad.stderr
    away = cli("fetch", "--date", str(DAY), "--gateway", f"https://127.0.0.1:{unused_port()}")
    assert away.returncode == 1
    assert "cannot be reached" in away.stderr
    assert KEY not in away.stderr + bad.stderr


def test_days_that_the_vendor_does_not_have_are_named(cli: Cli, served: FakeDatabento) -> None:
    result = cli("fetch", "--date", "2025-12-20", "--yes")
    assert result.returncode == 0
    assert "2025-12-20 is not there (yet): Databento has no data of that day" in result.stderr


def test_vendor_files_never_go_beside_synthetic_ones(cli: Cli, served: FakeDatabento) -> None:
    assert cli("sample", "--date", str(DAY), "--length", "2s").returncode == 0
    result = cli("fetch", "--date", str(NEXT), "--yes")
    assert result.returncode == 2
    assert "holds synthetic days" in result.stderr


def test_a_terminal_is_asked_first(served: FakeDatabento, environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ("fetch", "--date", str(DAY), "--schema", "trades")
    for answer, bought in (("n", 0), ("y", 1)):
        terminal = Terminal([sys.executable, "-m", "spyctl", *arguments], environment, tmp_path)
        terminal.wait_for(lambda text: "download for $0.25?" in text)
        terminal.type(answer.encode() + b"\n")
        assert terminal.finish() == 0
        assert served.paths().count("/v0/timeseries.get_range") == bought


def test_probe_looks_at_the_key(cli: Cli, served: FakeDatabento) -> None:
    good = cli("probe", "--rest-only", POLYGON_API_KEY="")
    assert " ✓ databento   DATABENTO_API_KEY (…ef01) accepted by 127.0.0.1:" in good.stdout
    bad = cli("probe", "--rest-only", "--json", POLYGON_API_KEY="", DATABENTO_API_KEY="db-" + "0" * 29)
    (check,) = (one for one in json.loads(bad.stdout)["checks"] if one["name"] == "databento")
    assert (check["verdict"], check["code"]) == ("fail", 4)
