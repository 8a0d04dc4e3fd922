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
    assert svg.count('class="q"') == 4  # one stretch in each of four panels
