"""Which processes can tell something of another one: by a shared clock, or by its id."""

import os
import subprocess
import sys

import pytest

from spyctl.bus.machine import Place, here, is_dead

HERE = Place("host", "boot", "pids")


@pytest.mark.parametrize(
    ("other", "clock", "sight"),
    [
        (HERE, True, True),
        (Place("host", "boot", "other"), True, False),  # two containers with one host name
        (Place("other", "boot", "pids"), True, False),
        (Place("host", "other", "pids"), False, False),  # the machine was started again
    ],
)
def test_a_process_id_means_the_same_only_in_the_same_place(other: Place, clock: bool, sight: bool) -> None:
    assert (HERE.shares_clock(other), HERE.sees(other)) == (clock, sight)


def test_what_a_system_does_not_tell_equals_nothing() -> None:
    nameless = Place("host", "", "")
    assert not nameless.shares_clock(nameless)
    assert not nameless.sees(nameless)
    assert not Place("host", "boot", "").sees(Place("host", "boot", ""))


def test_the_place_of_this_process_is_that_of_its_children() -> None:
    code = "from spyctl.bus.machine import here; print(here())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == str(here())
    assert sys.platform != "linux" or (here().boot and here().pids)


def test_a_process_that_has_ended_is_dead_also_before_anybody_asked() -> None:
    assert not is_dead(os.getpid())
    assert is_dead(2**22 + 1)
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.read()  # ends with the process
        while not is_dead(child.pid):  # it is a zombie within moments
            pass
