"""Rolls and damage, as they are said while a replay plays."""

import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.replay_display import _tell_due_rolls, show_damage
from spyctl.errors import DamagedFileError
from spyctl.replay.source import Roll
from tests.support.records import MS, T0


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    with io.StringIO() as stream:
        yield stream


def test_a_roll_is_reported_when_its_time_is_played(stderr: io.StringIO) -> None:
    rolls = [Roll("ES.c.0", 1, 2, T0), Roll("ES.c.0", 2, 3, T0 + MS)]
    replay = cast(Any, SimpleNamespace(reading=SimpleNamespace(rolls=rolls), pace=SimpleNamespace(last_ns=None)))
    talk = Reporter(stderr)
    assert _tell_due_rolls(replay, talk, 0) == 0
    replay.pace.last_ns = T0
    assert _tell_due_rolls(replay, talk, 0) == 1
    replay.pace.last_ns = T0 + MS
    assert _tell_due_rolls(replay, talk, 1) == 2
    assert stderr.getvalue().splitlines() == [
        "note: ES.c.0 rolls at 2025-12-16T14:30Z, from instrument 1 to 2; prices are not adjusted",
        "note: ES.c.0 rolls at 2025-12-16T14:30Z, from instrument 2 to 3; prices are not adjusted",
    ]


def test_damage_is_reported_with_what_was_published_before_it(stderr: io.StringIO) -> None:
    show_damage(
        Reporter(stderr), DamagedFileError("a.dbn", "cut short", offset=96, records=1_234, remedy="fetch it again"), []
    )
    show_damage(Reporter(stderr), DamagedFileError("b.dbn", "not DBN", remedy="fetch it again"), [])
    assert stderr.getvalue().splitlines() == [
        "error: a.dbn: cut short at byte 96",
        "  try: fetch it again; what is whole (1,234 records) is published, acked",
        "error: b.dbn: not DBN",
        "  try: fetch it again",
    ]
