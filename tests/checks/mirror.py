"""Which modules have no test file of their own."""

import re
from pathlib import Path

from tests.checks.exceptions import unexcepted

# Modules that need no test file of their own, and why.
EXCEPTIONS = {
    "spyctl/__main__.py": "calls spyctl.cli.app, and every test of the program goes through it",
    "spyctl/bus/checkpoint.py": "two records without a method; every test of the bus goes by them",
    "spyctl/live/snapshot.py": "records without a method; the view makes them and the screen draws them",
    "spyctl/replay/snapshot.py": "records without a method; the view makes them and the screen draws them",
    "spyctl/timing/notes.py": "a record without a method",
}


def check(root: Path, exceptions: dict[str, str] = EXCEPTIONS) -> list[str]:
    """Return a sentence for each module below ``root`` without a test, and for each stale exception."""
    modules = [path.relative_to(root / "spyctl") for path in sorted((root / "spyctl").rglob("*.py"))]
    problems = {
        f"spyctl/{module.as_posix()}": f"spyctl/{module.as_posix()}:1: no tests in {_test_files(module)[0].as_posix()}"
        for module in modules
        if not _is_tested(root, module)
    }
    return unexcepted(problems, exceptions)


def _is_tested(root: Path, module: Path) -> bool:
    if module.name == "__init__.py":
        return True  # names for others to import, no code
    return any(
        (root / path).is_file() and re.search(r"^ *(async )?def test_", (root / path).read_text(), re.MULTILINE)
        for path in _test_files(module)
    )


def _test_files(module: Path) -> list[Path]:
    # In the same place below one of the levels; the tests of spyctl/cli are a level themselves.
    levels = ("",) if module.parts[0] == "cli" else ("unit", "integration", "cli")
    return [Path("tests") / level / module.with_name(f"test_{module.name}") for level in levels]
