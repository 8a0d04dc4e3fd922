"""What exists when a run begins is no burden to its garbage collections."""

import gc

from spyctl.timing.collection import short_collections


def test_what_exists_is_passed_over_meanwhile_and_collected_again_afterwards() -> None:
    before = gc.get_freeze_count()
    with short_collections():
        assert gc.get_freeze_count() > before + 10_000
        assert len(gc.get_objects()) < 10_000
    assert gc.get_freeze_count() == 0
