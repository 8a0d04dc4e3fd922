"""Each key is a command, typed times are edited in place, and what cannot be obeyed is said."""

import asyncio

import pytest

from spyctl.errors import ControlError
from spyctl.replay.commands import Command, LoopHere, Pause, Seek, Stop, Toggle, parse_command
from spyctl.replay.control import Control, refuse
from spyctl.replay.keys import KEYS, KeyPad
from spyctl.replay.waypoints import Waypoints


class Pad:
    def __init__(self) -> None:
        self.control, self.said = Control(), []  # type: ignore[var-annotated]
        self.pad = KeyPad(self.control, Waypoints({"gap-fill": 1, "m1": 2}), self.said.append)

    def press(self, *keys: str) -> list[Command]:
        for key in keys:
            self.pad.press(key)
        return [self.control.take()[0] for _ in range(self.control.waiting)]


async def test_every_key_has_a_sign_and_a_command_that_exists() -> None:
    assert len({key.name for key in KEYS}) == len(KEYS)
    for key in KEYS:
        assert key.sign
        assert 0 < len(key.does) <= 29  # two columns of an 80-column terminal
        if key.words:
            assert Pad().press(key.name) == [parse_command(key.words.split())]
        else:
            assert key.name in "gl?i"


async def test_keys_that_do_more_than_one_thing() -> None:
    pad = Pad()
    assert pad.press("space", "l", "Q") == [Toggle(), LoopHere(), Stop(keep=True)]
    assert pad.press("?", "space") == []  # any key goes back
    assert pad.press("?", "q") == [Stop()]


@pytest.mark.parametrize(
    ("keys", "command"),
    [
        (["0", "9", ":", "3", "1", "backspace", "0", "enter"], [Seek("09:30")]),
        (["g", "a", "tab", "enter"], [Seek("gap-fill")]),
        (["1", "escape"], []),
        (["enter"], []),
        (["q", "up", "enter"], [Seek("q")]),
    ],
)
async def test_a_time_is_typed(keys: list[str], command: list[Command]) -> None:
    pad = Pad()
    given = pad.press("g", *keys)
    if keys == ["g", "a", "tab", "enter"]:
        assert given == [Seek("gap-fill")]
    assert (given, pad.pad.prompt) == (command, None)


async def test_what_cannot_be_obeyed_is_said() -> None:
    pad = Pad()
    pad.press("z")
    pad.pad.press("space")
    _, answer = pad.control.take()
    refuse(answer, ControlError("not now", "later"))
    await asyncio.sleep(0)
    pad.control.end(ControlError("run r has ended"))
    pad.press("space")
    assert pad.said == ["the key z does nothing; ? shows all keys", "not now; later", "run r has ended"]
    with pytest.raises(ControlError):
        pad.control.post(Pause())


async def test_less_detail_is_asked_for_and_taken_back() -> None:
    pad = Pad()
    assert pad.press("i") == []
    assert not pad.pad.detail
    pad.press("i")
    assert pad.pad.detail
