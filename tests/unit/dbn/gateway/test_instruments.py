"""What instruments are called while a session goes on, over rolls and over sessions."""

from dataclasses import replace

from spyctl.dbn.gateway.instruments import Instruments
from spyctl.market.symbology import CaptureMapping
from spyctl.timing.instants import DAY

FAR = (1 << 64) - 1
TODAY = 20_000


def says(symbol: str, raw: str, number: int, offset: int = 0) -> CaptureMapping:
    return CaptureMapping(symbol, raw, number, 0, FAR, FAR, offset)


def test_a_front_symbol_is_called_by_its_root() -> None:
    instruments = Instruments(lambda _: None)
    instruments.begin()
    instruments.learn([says("ES.c.0", "ESZ5", 1)], TODAY)
    assert instruments.symbols.name(1, TODAY) == "ES"


def test_two_fronts_of_a_root_keep_their_symbols() -> None:
    instruments = Instruments(lambda _: None)
    instruments.begin()
    instruments.learn([says("ES.c.0", "ESZ5", 1), says("ES.v.0", "ESH6", 2)], TODAY)
    assert [instruments.symbols.name(number, TODAY) for number in (1, 2)] == ["ES.c.0", "ES.v.0"]


def test_a_roll_begins_an_epoch_and_is_told_once() -> None:
    told: list[str] = []
    instruments = Instruments(told.append)
    instruments.begin()
    instruments.learn([says("ES.c.0", "ESZ5", 1)], TODAY)
    instruments.front("ES", 1, 0)
    instruments.learn([says("ES.c.0", "ESH6", 2, 500)], TODAY)
    for _ in range(2):
        instruments.front("ES", 2, 0)
    assert instruments.epochs == (500,)
    assert instruments.symbols.name(1, TODAY, 0) == instruments.symbols.name(2, TODAY, 1) == "ES"
    assert told == ["ES rolls from instrument 1 to ESH6 (2)"]


def test_an_instrument_of_the_session_before_keeps_its_name() -> None:
    instruments = Instruments(lambda _: None)
    instruments.begin()
    instruments.learn([says("ES.c.0", "ESZ5", 1)], TODAY)
    instruments.begin()
    instruments.learn([says("ES.c.0", "ESH6", 2)], TODAY)
    assert [instruments.symbols.name(number, TODAY) for number in (1, 2, 3)] == ["ES", "ES", None]


def test_a_name_outlasts_the_day_it_was_said_to_end_on() -> None:
    instruments = Instruments(lambda _: None)
    instruments.begin()
    dated = CaptureMapping("ES.c.0", "ESZ5", 1, 0, TODAY * DAY, (TODAY + 1) * DAY, 0)
    instruments.learn([dated], TODAY)
    assert [instruments.symbols.name(1, day) for day in (TODAY - 1, TODAY, TODAY + 1)] == ["ES"] * 3
    instruments.learn([replace(dated, symbol_out="ESH6", instrument_id=2, start_ns=(TODAY + 1) * DAY)], TODAY + 1)
    assert instruments.symbols.name(2, TODAY + 1) == "ES"
