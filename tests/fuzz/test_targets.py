"""Whatever comes from outside is read, or refused as what it is: nothing hangs, grows, or raises what is not ours.

``make test`` tries what earlier hunts have kept and a few hundred inputs more; the soak a million of each kind, or
``SPYCTL_FUZZ`` of them.
"""

import os

import pytest

from tests.fuzz.hunt import FaultError, Hunt, Target
from tests.fuzz.targets import TARGETS

FEW = 150
MANY = int(os.environ.get("SPYCTL_FUZZ", "1000000"))
PARTS = 20
ENDLESS = {
    "nest": b"a = " + b"[" * 16_000, "number": b"a = " + b"9" * 16_000, "keys": b"a." * 50_000 + b"b = 1",
    "bytes": b"\xff", "table": b"[replay]\nspeed = {}",
}  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_kept_and_some_inputs_more_are_survived(name: str) -> None:
    Hunt(TARGETS[name]).run(FEW)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", TARGETS)
def test_a_million_inputs_are_survived(name: str, part: int) -> None:
    Hunt(TARGETS[name], part + 1).run(MANY // PARTS)


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_settings_without_end_are_refused(text: bytes) -> None:
    TARGETS["config"].check(text)


# --- the hunt itself


def test_a_hunt_finds_what_lies_behind_several_steps_and_happens_again() -> None:
    def check(data: bytes) -> object:
        steps = next((i for i, word in enumerate((b"first", b"second", b"third")) if word not in data), 3)
        assert steps < 3, "found"
        return steps

    inputs = []
    for _ in range(2):
        hunt = Hunt(Target("steps", check, (b"-",), (b"first", b"second", b"third")), 5)
        with pytest.raises(FaultError, match=r"steps: AssertionError\('found.*\ninput: "):
            hunt.run(20_000)
        inputs.append(hunt.found)
    assert inputs[0] == inputs[1]


def test_what_hangs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.hunt.LONGEST_S", -1.0)
    with pytest.raises(FaultError, match=r"slow: 0\.0 s for LQ=="):
        Hunt(Target("slow", len, (b"-",))).run(0)


def test_of_the_inputs_with_one_result_the_smallest_is_kept() -> None:
    target = Target("length", lambda data: len(data) > 2, (b"",))
    assert Hunt(target).distill([b"abcd", b"abc", b"a", b""]) == [b"", b"abc"]
