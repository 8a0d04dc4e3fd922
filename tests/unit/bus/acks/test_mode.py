"""How events are to be acknowledged."""

from spyctl.bus.acks.mode import AckMode


def test_modes_are_the_words_of_the_command_line() -> None:
    assert list(AckMode) == ["auto", "fast", "message"]
    assert AckMode("fast") is AckMode.FAST
