"""The strikes of the window, as the screen shows them."""

from dataclasses import replace

from spyctl.live.snapshot import LiveSnapshot
from spyctl.live.strike_table import strike_table, window_line
from tests.support.live_screen import busy


def rows(current: LiveSnapshot, width: int, most: int = 11) -> list[str]:
    return [line.plain for line in strike_table(current, width, most)]


def test_quotes_stand_beside_the_last_prints_where_there_is_room() -> None:
    heads, *strikes, sums = rows(busy(), 98)
    assert " ".join(heads.split()) == ("volume trades bid × ask call strike put bid × ask trades volume")
    centre = next(strike for strike in strikes if "► 680 ◄" in strike)
    assert centre.split() == ["123,456", "1", "1.95", "×", "2.05", "2.00", "►", "680", "◄", "·", "·", "0", "0"]
    assert sums.split() == [f"{11 * 123_456:,}", "11", "in", "the", "window", "0", "0"]
    assert "bid × ask" not in rows(busy(), 90)[0]


def test_no_quotes_no_column_for_them() -> None:
    snapshot = busy()
    assert "bid" not in rows(replace(snapshot, traded=replace(snapshot.traded, quotes={})), 130)[0]


def test_volumes_are_bars_too_where_there_is_room() -> None:
    assert "█" not in "".join(rows(busy(), 98))
    bars = [row.split()[0] for row in rows(busy(), 140)[1:-1]]
    assert len(set(bars)) == 1
    assert set(bars[0]) == {"█"}


def test_where_lines_are_few_the_strikes_around_the_centre_stay() -> None:
    few = rows(busy(), 80, 3)
    assert [next(word for word in row.split() if len(word) == 3 and word.startswith("6")) for row in few[1:-1]] == [
        "681", "680", "679",
    ]  # fmt: skip
    assert "all 11 strikes" in few[-1]


def test_a_strike_that_comes_or_goes_is_named() -> None:
    window = replace(busy().window, added={685: 2.0}, leaving={674: 12.0})
    assert window_line(window, 80).plain == (
        " window  675 to 685, ±5 of 680.00   + 685 added  2 s ago   − 674 leaves in 12 s"
    )
    assert "opens with the first spot" in window_line(replace(window, strikes=[], centre=None), 80).plain


def test_strikes_of_other_steps_are_shown_as_they_are_and_the_nearest_one_is_marked() -> None:
    snapshot = busy()
    halves = replace(snapshot, window=replace(snapshot.window, strikes=[677.5, 680.5, 682.5], centre=680))
    table = [line.plain for line in strike_table(halves, 98, 2)]
    assert [text for text in ("682.5", "► 680.5 ◄", "677.5") if any(text in line for line in table)] == [
        "682.5", "► 680.5 ◄",
    ]  # fmt: skip
    assert "677.5 to 682.5, ±5 of 680.00" in window_line(halves.window, 98).plain
    assert "nothing is listed around 680" in window_line(replace(halves.window, strikes=[]), 98).plain


def test_share_classes_lose_their_dot_in_the_tickers_of_the_table() -> None:
    snapshot = busy()
    symbols = {name.replace("SPY", "BRKB"): last for name, last in snapshot.traded.prints.items()}
    traded = replace(snapshot.traded, prints=symbols)
    window = replace(snapshot.window, root="BRKB")
    table = [line.plain for line in strike_table(replace(snapshot, traded=traded, window=window), 98, 11)]
    assert sum("2.00" in line for line in table) == 11
