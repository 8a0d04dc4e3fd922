"""What to type about an error."""

import pytest

from spyctl.cli.framework import remedies
from spyctl.cli.framework.remedies import remedy_for
from spyctl.errors import BusError, NoDataError, SpyctlError, UnreachableError


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remedies, "REMEDIES", {BusError: lambda error: f"about {error.message}"})


def test_the_table_knows_a_type_and_those_derived_from_it() -> None:
    assert remedy_for(BusError("x", "its own")) == "about x"
    assert remedy_for(UnreachableError("y")) == "about y"


def test_an_error_that_is_not_listed_brings_its_own() -> None:
    assert remedy_for(NoDataError("x", "its own")) == "its own"
    assert remedy_for(SpyctlError("x")) == ""
