"""``python -m tests.fuzz TARGET COUNT [SEED]``: a hunt by hand; what was new is kept in ``corpus/``."""

import sys
import time

from tests.fuzz.hunt import Hunt
from tests.fuzz.targets import TARGETS

MOST = 60  # inputs that are kept of a target


def main(name: str, count: str, seed: str = "0") -> None:
    target = TARGETS[name]
    hunt, began_s = Hunt(target, int(seed)), time.process_time()
    hunt.run(int(count))
    took_s = time.process_time() - began_s
    target.keep(Hunt(target).distill(target.kept + hunt.found)[:MOST])
    print(f"{name}: {int(count):,} inputs in {took_s:.0f} s of CPU, {len(hunt.found)} new, {len(target.kept)} kept")


if __name__ == "__main__":
    main(*sys.argv[1:])
