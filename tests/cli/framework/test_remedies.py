"""What to type about an error."""

import pytest

from spyctl.cli.framework import remedies
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.replay_run import AFTER_LOSS
from spyctl.errors import BusError, LostTrackError, NoDataError, SpyctlError, UnreachableError


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remedies, "REMEDIES", {BusError: lambda error: f"about {error.message}"})


def test_the_table_knows_a_type_and_those_derived_from_it() -> None:
    assert remedy_for(BusError("x", "its own")) == "about x"
    assert remedy_for(UnreachableError("y")) == "about y"


def test_a_run_that_may_go_on_is_resumed_before_it_is_played_again() -> None:
    lost = LostTrackError("stream S does not hold 3 events that it acknowledged", "play it again")
    assert remedy_for(lost, after_loss=AFTER_LOSS).startswith(
        "--resume goes on after what is stored; where that is refused"
    )
    assert "--resume" not in remedy_for(lost)


def test_an_error_that_is_not_listed_brings_its_own() -> None:
    assert remedy_for(NoDataError("x", "its own")) == "its own"
    assert remedy_for(SpyctlError("x")) == ""
