"""Results of checks."""

from spyctl.errors import ExitCode
from spyctl.probe.result import Advice, CheckResult, Verdict, masked, skipped


def test_skipped_checks_have_a_reason_and_no_exit_code() -> None:
    results = skipped(("stocks", "options"), "they need a key", Advice.SET_KEY)
    assert results == [
        CheckResult(name, Verdict.SKIP, "they need a key", advice=Advice.SET_KEY, code=ExitCode.OK)
        for name in ("stocks", "options")
    ]


def test_a_key_shows_its_end_alone_and_a_short_one_nothing() -> None:
    assert masked("KEY", "0123456789") == "KEY (…6789)"
    assert masked("KEY", "0123") == "KEY"
