"""What is written down is what the program does."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tests.support import week
from tests.support.reference import COMMANDS, ROOT, files, spyctl
from tests.support.waiting import eventually_sync

README = (ROOT / "README.md").read_text()
TASKS = ("replay", "live", "data", "stream", "settings")
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in TASKS)]
BLOCKS = [block for page in PAGES for block in re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.DOTALL)]


def test_generated_files_are_up_to_date() -> None:
    for path, content in files().items():
        assert path.read_text() == content, f"{path.name} is out of date: make docs"


@pytest.mark.parametrize("command", COMMANDS[1:])
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"spyctl {command}" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_within_80_columns(command: str) -> None:
    lines = spyctl(*command.split(), "--help").splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 100


def test_the_readme_is_short() -> None:
    assert len(README.split()) < 1_500


def test_every_link_leads_to_a_file() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"


def test_a_package_index_shows_a_readme_without_dead_links() -> None:
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    hook = module_from_spec(spec)
    spec.loader.exec_module(hook)
    shown = hook.with_links(README, "")
    assert re.findall(r"\]\((?!https://)", shown) == []
    assert "More: docs/replay.md." in shown
    assert "](https://x/docs/replay.svg)" in hook.with_links(README, "https://x/")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_short_help_of_every_command_has_at_most_40_lines(command: str) -> None:
    lines = spyctl(*command.split(), "-h").splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40


def test_the_event_table_names_every_subject_and_schema() -> None:
    from spyctl.market.subjects import KINDS

    for kind in KINDS:
        assert f"`{kind.subject}`" in README
        assert f"`{kind.schema_id}`" in README


@pytest.mark.parametrize(
    ("table", "letter", "count"), [("faults.md", "", 44), ("faults.md", "F", 13), ("files.md", "", 62)]
)
def test_every_test_that_a_table_names_exists(table: str, letter: str, count: int) -> None:
    lines = (ROOT / "docs" / table).read_text().splitlines()
    rows = [line for line in lines if re.match(rf"\| {letter}\d+ \|", line)]
    assert [int(row.split("|")[1].strip().removeprefix(letter)) for row in rows] == list(range(1, count + 1))
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for row in rows:
        names = re.findall(r"`(test_\w+)`", row)
        assert names, row
        for name in names:
            assert f"def {name}(" in code, name


def test_the_page_of_the_week_is_what_the_program_prints(tmp_path: Path) -> None:
    text, picture = week.page(tmp_path)
    assert week.masked(text) == week.masked((ROOT / "docs" / "week.md").read_text()), "out of date: make pictures"
    assert picture == (ROOT / "docs" / "week.svg").read_text()


def masked(text: str) -> list[str]:
    # Run ids, digests, figures and the spaces that align them differ from run to run.
    text = re.sub(r"run \w{4}\b", "run ####", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "########", text)
    text = re.sub(r"store\s+\S+?,", "store …,", text)
    text = re.sub(r"\d[\d,.:]*", "0", text)
    text = re.sub(r"\b0( (h|m|s|ms|kB|MB|GB|bytes))+( 0 (s|m))?\b", "0 u", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


@pytest.mark.integration
@pytest.mark.parametrize("block", [text for kind, text in BLOCKS if kind == "console"])
def test_console_blocks_print_what_they_show(block: str, environment: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "dbn-data", tmp_path / "dbn-data")
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for chunk in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = chunk.partition("\n")
        if command.startswith("make "):
            continue  # these two are what a fresh clone runs
        result = subprocess.run(
            ["bash", "-c", command], env=environment | {"PATH": path}, cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=110, check=False,
        )  # fmt: skip
        shown, found = masked(expected), masked(result.stdout)
        if "…" in shown:  # lines are left out
            cut = shown.index("…")
            assert found[:cut] == shown[:cut]
            assert found[len(found) - len(shown) + cut + 1 :] == shown[cut + 1 :]
        else:
            assert found == shown


@pytest.mark.integration
def test_python_blocks_run(environment: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "dbn-data", tmp_path / "dbn-data")
    server = subprocess.Popen(
        [sys.executable, "-m", "spyctl", "server", "run"],
        env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stderr is not None
    assert "started" in server.stderr.readline()
    url = f"nats://127.0.0.1:{environment['SPYCTL_PORT']}"
    try:
        replay = [sys.executable, "-m", "spyctl", "replay", "-s", "max", "-q", "--end", "open-4m", "--nats-url", url]
        subprocess.run(replay, env=environment, cwd=tmp_path, check=True, capture_output=True)
        for kind, code in BLOCKS:
            if kind != "python":
                continue
            code = code.replace("nats://localhost:4222", url)
            with (tmp_path / "out").open("w+") as out:
                process = subprocess.Popen(
                    [sys.executable, "-u", "-c", code], env=environment, cwd=tmp_path, stdout=out, stderr=out
                )
                try:
                    eventually_sync(lambda process=process: process.poll() is not None or lines(tmp_path) >= 3, 60)
                    assert process.poll() in (None, 0), (tmp_path / "out").read_text()
                    assert "Traceback" not in (tmp_path / "out").read_text()
                finally:
                    process.kill()
                    process.wait()
    finally:
        server.terminate()
        server.communicate()


def lines(folder: Path) -> int:
    return len((folder / "out").read_text().splitlines())


def test_shell_blocks_are_shell() -> None:
    for kind, code in BLOCKS:
        if kind == "sh":
            subprocess.run(["bash", "-n"], input=code, text=True, check=True)
