"""What a complaint of the gateway means: another try, a pause, the end."""

import pytest

from spyctl.dbn.gateway.standing import Standing
from spyctl.dbn.messages import ErrorKind, GatewayFault
from spyctl.errors import ExitCode
from spyctl.timing.instants import SECOND
from tests.support.clock import FakeClock

KEY = GatewayFault(ErrorKind.KEY, "CRAM authentication failed")


def standing(clock: FakeClock) -> Standing:
    return Standing(clock, 300 * SECOND, 60 * SECOND)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (KEY, "Databento refuses the key: CRAM authentication failed"),
        (
            GatewayFault(ErrorKind.SUBSCRIPTION, "no live license"),
            "Databento refuses the subscription: no live license",
        ),
    ],
)
def test_a_key_that_was_never_good_ends_it(fault: GatewayFault, says: str) -> None:
    judge = standing(FakeClock())
    judge.refused(fault)
    assert judge.refusal is not None
    assert (judge.refusal.message, judge.refusal.exit_code) == (says, ExitCode.KEY)
    assert judge.refusal.remedy


def test_a_refusal_that_nobody_knows_is_tried_for_a_while() -> None:
    clock = FakeClock()
    judge = standing(clock)
    judge.refused(GatewayFault(ErrorKind.OTHER, "down for maintenance"))
    assert judge.refusal is None
    clock.advance(300 * SECOND)
    judge.refused(GatewayFault(ErrorKind.OTHER, "down for maintenance"))
    assert judge.refusal is not None


def test_a_key_that_was_good_is_tried_for_a_while() -> None:
    clock = FakeClock()
    judge = standing(clock)
    judge.accepted()
    judge.refused(KEY)
    clock.advance(299 * SECOND)
    judge.refused(KEY)
    assert judge.refusal is None
    clock.advance(SECOND)
    judge.refused(KEY)
    assert judge.refusal is not None


def test_data_in_between_start_the_while_anew() -> None:
    clock = FakeClock()
    judge = standing(clock)
    for _ in range(3):
        judge.accepted()
        judge.refused(KEY)
        clock.advance(200 * SECOND)
    assert judge.refusal is None


def test_a_connection_too_many_is_a_pause() -> None:
    judge = standing(FakeClock())
    judge.refused(GatewayFault(ErrorKind.CONNECTIONS, "too many"))
    assert (judge.refusal, judge.words) == (None, "too many")
    assert judge.take_crowded()
    assert not judge.take_crowded()


def test_unknown_symbols_are_no_such_data() -> None:
    judge = standing(FakeClock())
    judge.unknown(["XX.c.0", "AA"])
    assert judge.refusal is not None
    assert (judge.refusal.message, judge.refusal.exit_code) == (
        "Databento does not know AA or XX.c.0",
        ExitCode.NO_DATA,
    )


def test_slowness_is_news_once_in_a_while() -> None:
    clock = FakeClock()
    judge = standing(clock)
    said = []
    for _ in range(130):
        said.append(judge.is_slow_again())
        clock.advance(SECOND)
    assert [second for second, again in enumerate(said) if not again] == [0, 60, 120]
