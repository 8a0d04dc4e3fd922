"""Makes what is generated from the program: pages in ``docs/`` and ``completions/``; ``make docs`` runs it."""

import os
import subprocess
import sys
from pathlib import Path

from spyctl.cli.help_topics import EXIT_CODES
from tests.support import states

ROOT = Path(__file__).parent.parent.parent
COMMANDS = (
    "",
    "live",
    "replay",
    "fetch",
    "discover",
    "time-range",
    "tail",
    "events",
    "probe",
    "sample",
    "server",
    "server run",
    "server status",
    "server reset",
    "config",
    "config show",
    "help",
)
SHELLS = {"bash": "spyctl.bash", "zsh": "_spyctl", "fish": "spyctl.fish"}
EXIT_CODES_HEAD = "| code | means | for example |\n|---|---|---|\n"


def spyctl(*arguments: str, **environment: str) -> str:
    """Run the program as on an 80-column terminal without colours and return what it prints."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    plain = {"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    result = subprocess.run(
        [str(Path(sys.executable).with_name("spyctl")), *arguments],
        env=kept | plain | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


def exit_codes() -> str:
    """Return the rows of the table of exit codes."""
    return "".join(f"| {int(code)} | {words} | `{example}` |\n" for code, words, example in EXIT_CODES)


def cli_reference() -> str:
    """Return the text of ``docs/cli.md``."""
    parts = [
        "# The command line\n\nMade by `make docs` from `--help`; a test keeps the two equal.\n",
        f"## Exit codes\n\n{EXIT_CODES_HEAD}{exit_codes()}",
    ]
    for command in COMMANDS:
        lines = [line.rstrip() for line in spyctl(*command.split(), "--help").strip("\n").splitlines()]
        text = "\n".join(lines).strip("\n")
        parts.append(f"## `{f'spyctl {command}'.strip()}`\n\n```text\n{text}\n```\n")
    parts += [
        f"## `spyctl help {topic}`\n\n```text\n{spyctl('help', topic).rstrip()}\n```\n"
        for topic in ("environment", "events")
    ]
    return "\n".join(parts)


def completion(shell: str) -> str:
    """Return the completion script for a shell."""
    return spyctl(_SPYCTL_COMPLETE=f"source_{shell}").strip("\n") + "\n"


def files() -> dict[Path, str]:
    """Return all generated files with their content."""
    generated = {ROOT / "docs" / "cli.md": cli_reference(), ROOT / "docs" / "states.md": states.page()}
    for shell, name in SHELLS.items():
        generated[ROOT / "completions" / name] = completion(shell)
    return generated


if __name__ == "__main__":
    for path, content in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        print(path.relative_to(ROOT))
