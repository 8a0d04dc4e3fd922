"""``spyctl discover``: a row for each file, its faults, and what a check finds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.conftest import Cli
from tests.support.records import DAY_NS, ES, T0, content, definition, metadata, trade, write_file

pytestmark = pytest.mark.usefixtures("cache")


def test_a_week_with_its_faults(cli: Cli, week: Path) -> None:
    result = cli("discover")
    assert result.returncode == 3
    rows = {tuple(line.split()[1:3]): line for line in result.stdout.splitlines() if " 2025-" in line}
    assert rows["2025-12-16", "trades"].endswith(" no mbp-10 that day")
    assert rows["2025-12-17", "trades"].endswith(" degraded")
    assert rows["2025-12-19", "mbp-10"].endswith(" cut short")
    assert "! no mbp-10 file for 2025-12-16" in result.stderr
    assert "glbx-mdp3-20251216.ohlcv-1d.dbn is passed over: holds ohlcv-1d" in result.stderr
    assert "cut short inside record 100 at byte" in result.stderr
    document = json.loads(cli("discover", "--json").stdout)
    assert document["holes"] == {"mbp-10": ["2025-12-16"]}
    assert len(document["files"]) == 9


def test_a_check_verifies_an_unpacked_file_against_its_archive(cli: Cli, tmp_path: Path) -> None:
    path = write_file(tmp_path / "dbn-data", "trades", [trade(T0 + i) for i in range(9)])
    whole = path.read_bytes()
    archive = zstandard.ZstdCompressor(write_content_size=False).compress(whole)
    path.with_name(f"{path.name}.zst").write_bytes(archive)
    result = cli("discover", "--check")
    assert result.returncode == 0
    assert "archive ✓" in result.stdout
    assert "checked: 0 good by sha256, 1 by the archive beside, 0 by reading to the end, 0 not" in result.stdout
    path.write_bytes(path.read_bytes()[:-48])
    result = cli("discover", "--check")
    assert result.returncode == 3
    assert (
        "glbx-mdp3-20251216.trades.dbn: shorter than what its archive glbx-mdp3-20251216.trades.dbn.zst holds, at"
        in (result.stderr)
    )


def test_a_check_verifies_every_file_against_its_manifest(cli: Cli, week: Path) -> None:
    files: list[dict[str, Any]] = []
    for path in sorted((week / "trades").iterdir()):
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        files.append({"filename": path.name, "size": len(data), "hash": f"sha256:{digest}"})
    files.append({"filename": "glbx-mdp3-20251221.trades.dbn.zst", "size": 1, "hash": "sha256:" + "0" * 64})
    (week / "trades" / "manifest.json").write_text(json.dumps({"files": files}))

    result = cli("discover", "--check")
    assert result.returncode == 3
    assert "checked: 5 good by sha256, 3 by reading to the end, 2 not" in result.stdout
    assert "glbx-mdp3-20251221.trades.dbn.zst: listed in manifest.json, but missing" in result.stderr

    bent = week / "trades" / "glbx-mdp3-20251216.trades.dbn.zst"
    data = bytearray(bent.read_bytes())
    data[-1] ^= 1
    bent.write_bytes(data)
    result = cli("discover", "--check", "--schema", "trades")
    assert result.returncode == 3
    assert "checked: 4 good by sha256" in result.stdout
    assert "damaged" in result.stdout
    files = json.loads(cli("discover", "--check", "--json").stdout)["files"]
    (problem,) = (one["problem"] for one in files if one["path"].endswith(bent.name))
    assert "glbx-mdp3-20251216.trades.dbn.zst" in problem


def test_discover_as_json_and_by_schema(cli: Cli, data: Path) -> None:
    document = json.loads(cli("discover", "--json", "--schema", "MBP_10").stdout)
    (file,) = document["files"]
    assert (file["schema"], file["records"], file["version"], file["synthetic"]) == ("mbp-10", 1_001, 1, False)
    assert file["first_recv_utc"] == "2025-12-16T00:00:00.000000000Z"
    assert document["problems"] == []


def test_discover_tells_damage_and_overlaps_with_exit_3(cli: Cli, data: Path) -> None:
    (path,) = data.glob("trades/*")
    (data / "trades" / "copy.dbn").write_bytes(path.read_bytes())
    result = cli("discover")
    assert result.returncode == 0
    assert "overlaps" in result.stdout
    assert "is left out: trades/copy.dbn holds all its instruments and times" in result.stderr
    path.write_bytes(path.read_bytes()[:-7])
    (data / "trades" / "copy.dbn").write_bytes(b"nonsense")
    result = cli("discover")
    assert result.returncode == 3
    assert "cut short" in result.stdout
    assert "cut short inside record 50" in result.stderr
    assert "copy.dbn: does not begin with DBN" in result.stderr


def unplayable(root: Path) -> Path:
    root.mkdir()
    (root / "GLBX-20250602-ABCDEFGHIJ.zip").write_bytes(b"PK")
    (root / "glbx-mdp3-20251216.trades.dbn.zst.part").write_bytes(b"x")
    (root / "glbx-mdp3-20251216.ohlcv-1d.dbn").write_bytes(metadata("ohlcv-1d"))
    (root / "manifest.json").write_text('{"files": [{"filename": "glbx-mdp3-20251217.trades.dbn.zst", "size": 3}]}')
    return root


def test_where_nothing_can_be_played_each_file_is_named_with_its_reason(cli: Cli, tmp_path: Path) -> None:
    root = unplayable(tmp_path / "data")
    listed = cli("discover", "--data-dir", str(root))
    assert (listed.returncode, listed.stdout) == (6, "")
    for said in (
        "GLBX-20250602-ABCDEFGHIJ.zip is passed over: a packed job: unpack it",
        "glbx-mdp3-20251216.trades.dbn.zst.part is passed over: a download that was not finished",
        "glbx-mdp3-20251216.ohlcv-1d.dbn is passed over: holds ohlcv-1d, not trades or mbp-10",
        "glbx-mdp3-20251217.trades.dbn.zst is listed in manifest.json, but missing",
        f"error: nothing in {root} can be played: GLBX-20250602-ABCDEFGHIJ.zip (a packed job: unpack it), ",
    ):
        assert said in listed.stderr
    document = json.loads(cli("discover", "--json", "--data-dir", str(root)).stdout)
    assert document["files"] == []
    assert {Path(entry["path"]).suffix for entry in document["passed_over"]} == {".zip", ".part", ".dbn"}
    assert [Path(path).name for path in document["missing"]] == ["glbx-mdp3-20251217.trades.dbn.zst"]


def test_a_replay_where_nothing_can_be_played_says_what_is_there(cli: Cli, tmp_path: Path) -> None:
    result = cli("replay", "--sink", "stdout", "--data-dir", str(unplayable(tmp_path / "data")))
    assert (result.returncode, result.stdout) == (6, "")
    error, remedy = result.stderr.splitlines()[-2:]
    assert error.startswith("error: nothing in ")
    assert error.endswith("glbx-mdp3-20251217.trades.dbn.zst (listed in manifest.json, but missing)")
    assert remedy == "  try: spyctl discover lists them all"


def definitions(root: Path, *, version: int = 3) -> Path:
    """Write trades that only a definition file names, and that file."""
    write_file(root, "trades", [trade(), trade(T0 + 1, instrument_id=9)], symbols=["ALL_SYMBOLS"], mappings={})
    head = metadata("definition", symbols=["ALL_SYMBOLS"], mappings={}, version=version)
    path = root / "glbx-mdp3-20251216.definition.dbn"
    path.write_bytes(content([definition(ES, "ESZ5", DAY_NS), definition(9, "ESH6", DAY_NS)], head))
    return path


@pytest.mark.parametrize("damage", ["cut", "corrupt", "unlike its manifest", "short of its manifest"])
def test_definition_files_are_checked(cli: Cli, tmp_path: Path, damage: str) -> None:
    path = definitions(tmp_path / "dbn-data")
    data = path.read_bytes()
    good = cli("discover", "--check")
    assert (good.returncode, "2 by reading to the end, 0 not" in good.stdout) == (0, True)
    entry = {"filename": path.name, "size": len(data), "hash": f"sha256:{hashlib.sha256(data).hexdigest()}"}
    if damage.endswith("manifest"):
        entry |= {"size": len(data) + 520} if damage.startswith("short") else {"hash": f"sha256:{64 * '0'}"}
        path.with_name("manifest.json").write_text(json.dumps({"files": [entry]}))
    else:
        path.write_bytes(data[:-100] if damage == "cut" else data[:-519] + b"\xff" + data[-518:])
    checked = cli("discover", "--check")
    assert checked.returncode == 3
    assert f"! dbn-data/{path.name}: " in checked.stderr
    assert "1 not" in checked.stdout


def test_a_replay_names_the_instruments_that_a_damaged_definition_file_leaves_without_a_name(
    cli: Cli, tmp_path: Path
) -> None:
    path = definitions(tmp_path / "dbn-data")
    path.write_bytes(path.read_bytes()[:-100])
    result = cli("replay", "--speed", "max", "--sink", "stdout")
    assert result.returncode == 3
    assert [json.loads(line)["event"]["symbol"] for line in result.stdout.splitlines()] == ["ESZ5", "9"]
    assert f"{path.name}: cut short inside a record at byte" in result.stderr
    assert "without a name: 9" in result.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("replay", "--dry-run"), 0),
        (("time-range", "--date", "all"), 3),
        (("discover", "--report", "2025-12-16"), 3),
    ],
)
def test_damage_of_a_definition_file_is_named_wherever_its_day_is_read(
    cli: Cli, tmp_path: Path, command: tuple[str, ...], code: int
) -> None:
    path = definitions(tmp_path / "dbn-data")
    path.write_bytes(path.read_bytes()[:-100])
    result = cli(*command)
    assert f"{path.name}: cut short inside" in result.stderr + result.stdout
    assert result.returncode == code


def test_definitions_before_a_record_of_another_kind_give_their_names(cli: Cli, tmp_path: Path) -> None:
    path = definitions(tmp_path / "dbn-data")
    with path.open("ab") as file:
        file.write(bytes(trade()))
    result = cli("replay", "--speed", "max", "--sink", "stdout")
    assert [json.loads(line)["event"]["symbol"] for line in result.stdout.splitlines()] == ["ESZ5", "ESH6"]
    assert (result.returncode, "every instrument has a name all the same" in result.stderr) == (3, True)


def test_a_schema_that_is_not_there_has_its_document_too(cli: Cli, data: Path) -> None:
    for path in (data / "MBP-10").iterdir():
        path.unlink()
    (data / "job.zip").write_bytes(b"PK")
    result = cli("discover", "--schema", "mbp-10", "--json")
    assert result.returncode == 6
    assert json.loads(result.stdout)["passed_over"][0]["path"].endswith("job.zip")
