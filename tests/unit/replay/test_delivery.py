"""What became of the events of a replay, as the screen shows it."""

from dataclasses import replace

from tests.support.replay_screen import SNAPSHOT, changed, lines


def test_a_last_sequence_is_shown_only_when_it_is_that_of_what_is_acked() -> None:
    delivery = replace(SNAPSHOT.summary.delivery, first_seq=895, last_seq=1_884)
    for last_seq, text in ((1_884, "seq 895 to 1,884"), (1_700, "seq from 895")):
        summary = replace(SNAPSHOT.summary, delivery=replace(delivery, last_seq=last_seq))
        for size in ((80, 24), (140, 40)):
            assert text in "\n".join(lines(replace(SNAPSHOT, summary=summary), *size))


def test_what_is_wrong_shows_its_count() -> None:
    drawn = "\n".join(lines(changed({"late": 3, "rejected_by_reason": {"price": 2}, "gaps": 1}), 80, 24))
    assert "late 3   rejected 2   gaps 1" in drawn
