"""Runs an installation by pip and shows what it is at, instead of nothing or everything; the Makefile uses it."""

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO


def steps(lines: Iterable[str]) -> Iterator[str]:
    """Yield where an installation is, from what pip says."""
    count = 0
    for line in lines:
        first, _, rest = line.strip().partition(" ")
        if first == "Collecting" and rest:
            count += 1
            yield f"package {count}: {rest.split()[0]}"
        elif line.startswith("Installing collected packages:"):
            yield f"unpacking {len(rest.split(','))} packages"


def install(command: list[str], out: TextIO) -> int:
    """Run a command and show its steps on a terminal, then how long it took; where it fails, all that it said."""
    started_s, said = time.monotonic(), []

    def heard(lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            said.append(line)
            yield line

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for step in steps(heard(process.stdout)):
            if out.isatty():
                out.write(f"\r\033[K  {step}, {time.monotonic() - started_s:.0f} s")
                out.flush()
    if out.isatty():
        out.write("\r\033[K")
    if process.returncode:
        out.write("".join(said))
    else:
        out.write(f"installed in {time.monotonic() - started_s:.1f} s\n")
    return process.returncode


if __name__ == "__main__":
    sys.exit(install(sys.argv[1:], sys.stderr))
