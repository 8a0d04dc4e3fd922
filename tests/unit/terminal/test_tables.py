"""Tables of plain text."""

from spyctl.terminal.tables import glossary, hanging, table


def test_columns_are_as_wide_as_they_need() -> None:
    lines = table(
        ("schema", "records", "note"), [("trades", "2,725", ""), ("mbp-10", "59,317", "synthetic")], {"records"}
    )
    assert lines == [" schema records note", " trades   2,725", " mbp-10  59,317 synthetic"]


def test_a_table_without_rows_is_its_heading() -> None:
    assert table(("a", "bc"), []) == [" a bc"]


def test_meanings_are_folded_beside_their_terms() -> None:
    lines = list(glossary([("NATS_TOKEN", "a token"), ("CI", "no display, plain lines")], 26))
    assert lines == ["NATS_TOKEN  a token", "CI          no display,", "            plain lines"]


def test_later_lines_hang_under_the_first() -> None:
    assert list(hanging("try: ", "one two three", 14)) == ["try: one two", "     three"]
    assert list(hanging("try: ", "", 14)) == ["try: "]


def test_a_cell_stays_in_its_row_whatever_it_holds() -> None:
    assert table(("a", "b"), [("x\ny\x1b[2J", "z")]) == [" a       b", " x␊y␛[2J z"]
    assert list(hanging("try: ", "one\x1b two", 40)) == ["try: one␛ two"]
