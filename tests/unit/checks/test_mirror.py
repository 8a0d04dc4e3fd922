"""Where the check looks for a module's tests, in a small tree."""

from pathlib import Path

import pytest

from tests.checks.mirror import check


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write(tmp_path, "spyctl/__init__.py", "")
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("module", "test_file"),
    [
        ("api.py", "tests/unit/test_api.py"),
        ("api.py", "tests/integration/test_api.py"),
        ("api.py", "tests/cli/test_api.py"),
        ("bus/runs.py", "tests/unit/bus/test_runs.py"),
        ("bus/acks/base.py", "tests/integration/bus/acks/test_base.py"),
        ("cli/tail.py", "tests/cli/test_tail.py"),
        ("cli/framework/talk.py", "tests/cli/framework/test_talk.py"),
    ],
)
def test_a_module_is_tested_in_the_same_place_of_a_level(tree: Path, module: str, test_file: str) -> None:
    write(tree, f"spyctl/{module}", "x = 1")
    assert len(check(tree, {})) == 1
    write(tree, test_file, "class TestIt:\n    async def test_x(self): ...\n")
    assert check(tree, {}) == []


def test_a_test_file_without_a_test_does_not_count(tree: Path) -> None:
    write(tree, "spyctl/bus/runs.py", "x = 1")
    write(tree, "tests/unit/bus/test_runs.py", "# def test_x\n")
    assert check(tree, {}) == ["spyctl/bus/runs.py:1: no tests in tests/unit/bus/test_runs.py"]


def test_a_module_of_the_same_name_elsewhere_has_its_own_test_file(tree: Path) -> None:
    write(tree, "spyctl/live/view.py", "x = 1")
    write(tree, "spyctl/replay/view.py", "x = 1")
    write(tree, "tests/unit/live/test_view.py", "def test_x(): ...")
    assert check(tree, {}) == ["spyctl/replay/view.py:1: no tests in tests/unit/replay/test_view.py"]


def test_exceptions_are_kept_only_while_they_are_needed(tree: Path) -> None:
    write(tree, "spyctl/__main__.py", "x = 1")
    exceptions = {"spyctl/__main__.py": "one line"}
    assert check(tree, exceptions) == []
    write(tree, "tests/unit/test___main__.py", "def test_x(): ...")
    assert check(tree, exceptions) == ["remove this exception, it is no longer needed: spyctl/__main__.py"]
