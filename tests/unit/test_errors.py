"""The tree of errors: drawn as it is, exit codes inherited, and no flag of the command line in a lower layer."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from spyctl import errors
from spyctl.cli.framework.remedies import REMEDIES
from spyctl.errors import DamagedFileError, ExitCode, SpyctlError, expanded

ROOT = Path(errors.__file__).parent
CLASSES = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SpyctlError)
}
_LINE = re.compile(r"^    ((?:[│ ]   )*)(?:[├└]── )?(\w+Error) +(\d+)?")
_FLAG = re.compile(r"(^|\s)--[a-z]")


def drawn() -> list[tuple[str, str | None, int]]:
    """Return the drawn tree as (name, name of its parent, exit code as written or inherited)."""
    rows: list[tuple[str, str | None, int]] = []
    path: list[tuple[str, int]] = []
    for line in (errors.__doc__ or "").splitlines():
        if (match := _LINE.match(line)) is None:
            continue
        depth = 0 if match[2] == "SpyctlError" else len(match[1]) // 4 + 1
        del path[depth:]
        code = int(match[3]) if match[3] else path[-1][1]
        rows.append((match[2], path[-1][0] if path else None, code))
        path.append((match[2], code))
    return rows


def test_a_path_below_the_home_of_nobody_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x") == Path("/home/me/x")
    assert expanded("~nobody-here/x") == Path("~nobody-here/x")


def test_the_drawn_tree_is_the_tree_of_the_classes() -> None:
    assert [name for name, *_ in drawn()] == list(dict.fromkeys(name for name, *_ in drawn()))
    assert {name: parent for name, parent, _ in drawn()} == {
        name: kind.__base__.__name__ if kind is not SpyctlError else None for name, kind in CLASSES.items()
    }


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, _, code in drawn()])
def test_the_drawn_exit_code_is_that_of_the_class(name: str, code: int) -> None:
    assert CLASSES[name].exit_code == code


def test_exit_codes_are_those_of_the_contract() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0, "FAILED": 1, "USAGE": 2, "INCOMPLETE": 3, "KEY": 4, "NATS": 5, "NO_DATA": 6,
        "INTERRUPTED": 130, "TERMINATED": 143,
    }  # fmt: skip


def test_every_error_with_a_remedy_of_the_command_line_is_in_the_tree() -> None:
    assert {kind.__name__ for kind in REMEDIES} <= {name for name, *_ in drawn()}


def test_a_damaged_file_keeps_its_facts() -> None:
    error = DamagedFileError("a.dbn", "cut short", offset=1_234, records=7, remedy="fetch it again")
    assert (error.message, error.remedy) == ("a.dbn: cut short at byte 1,234", "fetch it again")
    assert (error.path, error.reason, error.offset, error.records) == ("a.dbn", "cut short", 1_234, 7)
    assert DamagedFileError("a.dbn", "not DBN").message == "a.dbn: not DBN"


def raised_texts(source: str) -> Iterator[str]:
    """Yield the string literals in the arguments of calls of error classes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name.endswith("Error"):
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                yield from (
                    inner.value
                    for argument in arguments
                    for inner in ast.walk(argument)
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
                )


def names_a_flag(source: str) -> bool:
    return any(_FLAG.search(text) for text in raised_texts(source))


def test_a_flag_in_a_message_or_a_remedy_is_recognised() -> None:
    assert names_a_flag('raise UsageError("wrong", "--force mixes them")')
    assert names_a_flag('raise errors.NoDataError(f"none in {folder}, try --date {day}", remedy="")')
    assert names_a_flag('raise UsageError("wrong", remedy="leave --resume out")')
    assert not names_a_flag('raise UsageError("a -- b", "nats-server -js"); print("--force")')


def test_no_error_of_a_lower_layer_names_a_flag() -> None:
    modules = {path.relative_to(ROOT).as_posix(): path for path in ROOT.rglob("*.py")}
    naming = {name for name, path in modules.items() if not name.startswith("cli/") and names_a_flag(path.read_text())}
    assert naming == set()
