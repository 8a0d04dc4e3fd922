"""When the refusal of a key is permanent."""

from spyctl.timing.instants import SECOND
from spyctl.timing.refusals import Refusals
from tests.support.clock import FakeClock


def make() -> tuple[Refusals, FakeClock]:
    clock = FakeClock()
    return Refusals(clock, 300 * SECOND), clock


def test_a_key_that_was_never_good_is_refused_permanently_at_once() -> None:
    refusals, _ = make()
    assert refusals.refused()


def test_a_good_key_may_be_refused_for_five_minutes() -> None:
    refusals, clock = make()
    refusals.accepted()
    assert not refusals.refused()
    clock.advance(300 * SECOND - 1)
    assert not refusals.refused()
    clock.advance(1)
    assert refusals.refused()


def test_what_may_pass_is_tried_for_a_while_though_the_key_was_never_good() -> None:
    refusals, clock = make()
    assert not refusals.refused(may_pass=True)
    clock.advance(300 * SECOND)
    assert refusals.refused(may_pass=True)


def test_a_key_that_is_accepted_again_gets_its_five_minutes_anew() -> None:
    refusals, clock = make()
    refusals.accepted()
    refusals.refused()
    clock.advance(200 * SECOND)
    refusals.accepted()
    assert not refusals.refused()
    clock.advance(200 * SECOND)
    assert not refusals.refused()
