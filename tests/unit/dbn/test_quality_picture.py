"""The picture of a day's quality: a well-formed SVG with a panel for each figure."""

from pathlib import Path
from xml.etree import ElementTree

from spyctl.dbn.catalog import scan
from spyctl.dbn.quality import assess
from spyctl.dbn.quality_picture import draw_quality
from tests.support.records import DAY, SECOND, T0, book, trade, write_file


def test_the_picture_is_well_formed_and_shows_every_schema(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0), trade(T0 + 200 * SECOND)])
    write_file(tmp_path, "mbp-10", [book(T0 + i * SECOND) for i in range(100)])
    svg = draw_quality(assess(scan(tmp_path).files, DAY), DAY, "a day")
    root = ElementTree.fromstring(svg)
    texts = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a day", "trades", "mbp-10", "14:30:00"} <= set(texts)
    assert sum(text.startswith(("events", "spread", "latency")) for text in texts) == 4
    shaded = [one for one in root.iter("{http://www.w3.org/2000/svg}rect") if one.get("class") == "q"]
    assert shaded == []  # the books had no quiet stretch, the trades alone had
    assert "nan" not in svg
    write_file(tmp_path, "mbp-10", [book(T0), book(T0 + 90 * SECOND)])
    svg = draw_quality(assess(scan(tmp_path).files, DAY), DAY, "a day")
    assert svg.count('class="q"') == 5  # one stretch in each of five panels


def texts_of(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_the_price_has_a_panel_with_round_ticks(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0 + i * SECOND, price=6_800_000_000_000 + i * 10**9) for i in range(9)])
    texts = texts_of(draw_quality(assess(scan(tmp_path).files, DAY), DAY, "a day"))
    start = texts.index("price, middle of the book, mean of 1 s")
    assert texts[start + 1 : start + 6] == ["6,800", "6,802", "6,804", "6,806", "6,808"]


def test_prices_of_several_instruments_are_not_averaged(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0 + i * SECOND, instrument_id=i) for i in (1, 2)])
    texts = texts_of(draw_quality(assess(scan(tmp_path).files, DAY), DAY, "a day"))
    assert not any(text.startswith("price") for text in texts)
