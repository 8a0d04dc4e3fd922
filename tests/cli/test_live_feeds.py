"""Which feeds a live run has, and when their silence is suspicious."""

from dataclasses import replace

from spyctl.cli.live_feeds import silence_is_suspicious
from spyctl.cli.live_request import SimulatedMarket, Underlyings
from spyctl.timing.instants import HOUR
from tests.support.clock import WALL_NS
from tests.support.live_requests import SIM, request


def test_silence_is_suspicious_in_the_session_of_spy_alone() -> None:
    noon, night = WALL_NS + 3 * HOUR, WALL_NS + 15 * HOUR

    def suspicious(underlying: str, sim: SimulatedMarket | None = None) -> list[bool]:
        asked = replace(request(), sim=sim, underlyings=Underlyings((underlying,)))
        return [silence_is_suspicious(asked)(ns) for ns in (noon, night)]

    assert suspicious("SPY") == [True, False]
    assert suspicious("ABCD") == [False, False]
    assert suspicious("SPY", SIM) == [True, True]
    assert suspicious("SPY", replace(SIM, rate=1)) == [False, False]
