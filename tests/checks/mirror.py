"""Which modules have no test file of their own."""

import re
from pathlib import Path

from tests.checks.exceptions import UNTIL_SPLIT, unexcepted

# Modules that need no test file of their own, and why.
EXCEPTIONS = {
    "spyctl/__main__.py": "calls spyctl.cli.app, and every test of the program goes through it",
    "spyctl/bus/access.py": UNTIL_SPLIT,
    "spyctl/bus/acks/base.py": UNTIL_SPLIT,
    "spyctl/bus/acks/choice.py": UNTIL_SPLIT,
    "spyctl/bus/acks/fast_ingest.py": UNTIL_SPLIT,
    "spyctl/bus/acks/per_message.py": UNTIL_SPLIT,
    "spyctl/bus/checkpoint.py": UNTIL_SPLIT,
    "spyctl/bus/consumers.py": UNTIL_SPLIT,
    "spyctl/bus/frames.py": UNTIL_SPLIT,
    "spyctl/bus/in_flight.py": UNTIL_SPLIT,
    "spyctl/bus/keeper.py": UNTIL_SPLIT,
    "spyctl/bus/reader.py": UNTIL_SPLIT,
    "spyctl/bus/reconcile.py": UNTIL_SPLIT,
    "spyctl/bus/runs.py": UNTIL_SPLIT,
    "spyctl/bus/target.py": UNTIL_SPLIT,
    "spyctl/cli/live_run.py": UNTIL_SPLIT,
    "spyctl/cli/replay_run.py": UNTIL_SPLIT,
    "spyctl/errors.py": UNTIL_SPLIT,
    "spyctl/massive/rest.py": UNTIL_SPLIT,
    "spyctl/massive/simulator.py": UNTIL_SPLIT,
    "spyctl/massive/socket.py": UNTIL_SPLIT,
    "spyctl/timing/notes.py": UNTIL_SPLIT,
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
