"""What is said on stderr, and in which form."""

import io
import json

import pytest

from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import unguarded


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def said(reporter: Reporter) -> str:
    stream = unguarded(reporter.stream)
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def say_everything(reporter: Reporter) -> None:
    reporter.block("plan", "one", "two")
    reporter.line("a line")
    reporter.detail("a detail")
    reporter.warn("a warning")
    reporter.error("an error", "a remedy")


def test_plain_lines_for_a_person() -> None:
    reporter = Reporter(io.StringIO())
    say_everything(reporter)
    assert said(reporter) == ("plan     one\n         two\na line\n! a warning\nerror: an error\n  try: a remedy\n")


def test_quiet_leaves_warnings_and_errors() -> None:
    reporter = Reporter(io.StringIO())
    reporter.quiet = True
    say_everything(reporter)
    assert said(reporter) == "! a warning\nerror: an error\n  try: a remedy\n"


def test_verbose_adds_details() -> None:
    reporter = Reporter(io.StringIO())
    reporter.verbose = True
    reporter.detail("a detail")
    assert said(reporter) == "a detail\n"


def test_json_is_one_object_per_line_with_its_level() -> None:
    reporter = Reporter(io.StringIO())
    reporter.as_json = reporter.verbose = True
    say_everything(reporter)
    reporter.line("   ")  # nothing to say
    documents = [json.loads(line) for line in said(reporter).splitlines()]
    assert [document["level"] for document in documents] == ["info", "info", "debug", "warning", "error"]
    assert documents[0]["text"] == "plan: one two"
    assert documents[-1]["try"] == "a remedy"


def test_colour_is_for_terminals_alone() -> None:
    on_terminal, in_file = Reporter(Screen()), Reporter(io.StringIO())
    for reporter in (on_terminal, in_file):
        reporter.error("an error")
    assert "\x1b[31merror:\x1b[0m" in said(on_terminal)
    assert "\x1b" not in said(in_file)


def test_a_sentence_stays_one_and_holds_nothing_that_steers_a_terminal() -> None:
    reporter = Reporter(Screen())
    reporter.error("no file a\nerror: b\x1b[2J", "rm \x07")
    reporter.warn("odd\r")
    reporter.block("plan", "one\ntwo")
    assert "\x1b[31merror:\x1b[0m no file a␊error: b␛[2J\n  try: rm ␇\n" in said(reporter)
    assert "odd␍\n" in said(reporter)
    assert "one␊two\n" in said(reporter)


@pytest.mark.parametrize("variable", ["CI", None])
def test_a_display_needs_a_terminal_that_nobody_objects_to(
    monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    reporter = Reporter(Screen())
    assert reporter.draws
    assert not Reporter(io.StringIO()).draws
    if variable is not None:
        monkeypatch.setenv(variable, "1")
    else:
        reporter.plain = True
    assert not reporter.draws


def test_what_is_said_under_a_display_is_held_and_printed_afterwards() -> None:
    reporter = Reporter(io.StringIO())
    with reporter.held() as notes:
        reporter.warn("a warning")
        assert said(reporter) == ""
        assert [(note.text, note.level) for note in notes] == [("a warning", "warning")]
    assert said(reporter) == "! a warning\n"


def test_a_display_that_fails_still_prints_what_was_held() -> None:
    reporter = Reporter(io.StringIO())

    def fail_while_held() -> None:
        with reporter.held():
            reporter.line("before the failure")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_while_held()
    assert said(reporter) == "before the failure\n"


def test_a_progress_bar_is_for_long_reads_on_a_terminal() -> None:
    short, long = Reporter(Screen()), Reporter(Screen())
    for reporter, total in ((short, 1_000), (long, 100_000_000)):
        with progress_bar(reporter, "reading", total) as advance:
            advance(total)
    assert said(short) == ""
    assert "reading" in said(long)
