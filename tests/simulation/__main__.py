"""``python -m tests.simulation SEED`` lets a seed happen again and prints its history; ``FIRST END`` tries many."""

import sys

from tests.simulation.history import replay
from tests.simulation.judge import UntrueError


def main(numbers: list[int]) -> int:
    failed = 0
    for number in range(numbers[0], numbers[-1] + (len(numbers) == 1)):
        try:
            history = replay(number)
        except UntrueError as error:
            failed += 1
            print(error if len(numbers) == 1 else f"{number}: {str(error).splitlines()[-2][:200]}", flush=True)
        else:
            if len(numbers) == 1:
                print(history.seed, *history.world.history, sep="\n")
    print(f"{failed} failed", file=sys.stderr)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main([int(text) for text in sys.argv[1:]]))
