"""Run the checks: what they find goes to standard output, and the exit code is 1."""

import sys
from pathlib import Path

from tests.checks import limits, mirror

root = Path(__file__).parents[2]
problems = [*limits.check(root), *mirror.check(root)]
print(*problems, sep="\n", end="\n" if problems else "")
sys.exit(bool(problems))
