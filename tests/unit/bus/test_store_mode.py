"""How safely a stream keeps its messages, and what is said of it."""

import pytest

from spyctl.bus.store_mode import StoreMode, store_of, what_a_kill_loses
from spyctl.bus.stream import desired_config, misfits


@pytest.mark.parametrize(
    ("mode", "knows_async", "loss"),
    [
        (StoreMode.SAFE, True, ""),
        (StoreMode.FAST, True, "acknowledges before it writes: where its server is killed, the last"),
        (StoreMode.FAST, False, "is in memory: where its server ends, all of it is lost"),
    ],
)
def test_a_stream_that_a_mode_makes_fits_it_and_says_what_a_kill_loses(
    mode: StoreMode, knows_async: bool, loss: str
) -> None:
    config = desired_config("DRILL", store=store_of(mode, knows_async=knows_async))
    assert misfits(config, config["subjects"], mode) == []
    assert what_a_kill_loses(config).startswith(loss)
    assert bool(what_a_kill_loses(config)) == bool(loss)


def test_a_stream_in_memory_is_only_for_who_asked_for_it() -> None:
    config = desired_config("DRILL", store=store_of(StoreMode.FAST, knows_async=False))
    assert misfits(config, config["subjects"]) == ["keeps messages in memory; spyctl needs file"]
    assert misfits(desired_config(), [], StoreMode.FAST) == [
        "was made to keep messages safely, which cannot be changed"
    ]
