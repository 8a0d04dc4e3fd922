"""The list of contracts: asked for each hour, sooner where there was no answer, anew for another expiry."""

from datetime import date

from spyctl.live.listed_contracts import ListedContracts
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.massive.rest import Listing
from spyctl.timing.instants import HOUR, SECOND
from tests.support.clock import WALL_NS, FakeClock


class Vendor:
    """Answers with what it has; ``None`` is no answer."""

    def __init__(self, strikes: frozenset[int] | None, **others: list[int]) -> None:
        self.listing = None if strikes is None else Listing(strikes, others)
        self.asked: list[date] = []

    async def __call__(self, underlying: str, expiry: date) -> Listing | None:
        self.asked.append(expiry)
        return self.listing


async def test_the_window_is_kept_to_what_is_listed_and_asked_again_after_an_hour() -> None:
    clock, vendor = FakeClock(), Vendor(frozenset({680_000}))
    window = StrikeWindow(StrikeManager(2), WALL_NS)
    window.spot.quote(680.0, 680.02, clock.now_ns())
    window.tick(WALL_NS, clock.now_ns())
    listed = ListedContracts(vendor, window, lambda _: None, clock)
    assert listed.due()
    assert not listed.due()  # it has just been said
    await listed.refresh()
    assert {topic[-8:] for topic in window.manager.held} == {"00680000"}
    clock.advance(HOUR - SECOND)
    assert not listed.due()
    clock.advance(2 * SECOND)
    assert listed.due()


async def test_without_a_list_every_dollar_is_subscribed_which_is_told_once_and_asked_again_soon() -> None:
    clock, notes = FakeClock(), list[str]()
    window = StrikeWindow(StrikeManager(2), WALL_NS)
    listed = ListedContracts(Vendor(None), window, notes.append, clock)
    for _ in range(2):
        assert listed.due()
        await listed.refresh()
        clock.advance(61 * SECOND)
    assert notes == ["no list of contracts over REST: every whole dollar is subscribed"]
    assert window.manager.listed is None


async def test_an_empty_list_is_told_as_what_it_is() -> None:
    clock, notes = FakeClock(), list[str]()
    window = StrikeWindow(StrikeManager(2), WALL_NS)
    listed = ListedContracts(Vendor(frozenset()), window, notes.append, clock)
    for _ in range(2):
        await listed.refresh()
    assert notes == ["the vendor lists no contracts of SPY that expire 2025-12-16: every whole dollar is subscribed"]
    assert window.manager.listed is None


async def test_a_roll_asks_at_once() -> None:
    clock, vendor = FakeClock(), Vendor(frozenset({680_000}))
    window = StrikeWindow(StrikeManager(2), WALL_NS)
    listed = ListedContracts(vendor, window, lambda _: None, clock)
    assert listed.due()
    await listed.refresh()
    window.manager.roll(date(2025, 12, 17))
    assert listed.due()
    await listed.refresh()
    assert vendor.asked == [date(2025, 12, 16), date(2025, 12, 17)]


async def test_contracts_of_another_root_within_the_window_are_told_once_an_expiry() -> None:
    clock, notes = FakeClock(), list[str]()
    window = StrikeWindow(StrikeManager(10, "SPX"), WALL_NS)
    vendor = Vendor(frozenset({6_800_000}), SPXW=[6_795_000, 6_795_000, 6_805_000, 7_000_000], SPX1=[9_000_000])
    listed = ListedContracts(vendor, window, notes.append, clock)
    await listed.refresh()
    listed.tell_left_out()
    assert notes == []  # before the first spot there is no window
    window.manager.get_target_strikes(6_801.2)
    for _ in range(2):
        listed.tell_left_out()
        await listed.refresh()
    assert notes == ["left out of the window of SPX: 3 contracts of SPXW listed for 2025-12-16"]
    window.manager.roll(date(2025, 12, 17))
    await listed.refresh()
    listed.tell_left_out()
    assert notes[1:] == ["left out of the window of SPX: 3 contracts of SPXW listed for 2025-12-17"]
