"""The garbage collector while modules are loaded."""

import gc

from spyctl.cli.framework.loading import loading


def test_no_garbage_is_looked_for_while_modules_are_loaded_and_what_they_made_is_left_alone() -> None:
    gc.unfreeze()
    try:
        with loading():
            assert not gc.isenabled()
            with loading():  # a command inside the program
                pass
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()


def test_a_failed_import_leaves_the_collector_on() -> None:
    try:
        with loading():
            raise ImportError
    except ImportError:
        assert gc.isenabled()
    finally:
        gc.unfreeze()
