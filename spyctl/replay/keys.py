"""What each key does, and the line in which a time is typed. Where mpv has a key for it, it is that one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from spyctl.errors import SpyctlError
from spyctl.replay.commands import Command, LoopHere, Seek, parse_command
from spyctl.replay.control import Answer, Control
from spyctl.replay.waypoints import Waypoints

_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Key:
    """A key: its sign, a word for the footer, what it does, and the words of its command.

    ``rank`` orders the footer, 0 is never left out; without a rank it stands only among all keys.
    """

    name: str
    sign: str
    short: str
    does: str
    words: str = ""
    rank: int | None = None


KEYS = (
    Key("space", "space", "pause", "pause, or go on", "toggle", 0),
    Key(".", ".", "step", "the next event", "step 1", 1),
    Key(",", ",", "back", "the event before", "step -1", 9),
    Key("n", "n", "+1 s", "the next second", "step 1 seconds", 2),
    Key("left", "←", "", "10 s back", "seek -10s"),
    Key("right", "←→", "10 s", "10 s on", "seek +10s", 3),
    Key("down", "↓", "", "1 min back", "seek -1m"),
    Key("up", "↑↓", "1 min", "1 min on", "seek +1m", 10),
    Key("[", "[", "", "slower", "slower"),
    Key("]", "[ ]", "speed", "faster", "faster", 4),
    Key("{", "{", "", "half the speed", "halve"),
    Key("}", "}", "", "twice the speed", "double"),
    Key("backspace", "Bksp", "1×", "real time", "realtime", 12),
    Key("0", "0", "max", "as fast as acknowledged", "max", 11),
    Key("g", "g", "go to", "go to a time, or a mark", "", 5),
    Key("o", "o", "open", "the open", "seek open", 6),
    Key("c", "c", "close", "the close", "seek close", 14),
    Key("pageup", "PgUp", "", "previous mark, session time", "previous place"),
    Key("pagedown", "PgDn", "", "next mark, session time", "next place"),
    Key("t", "t", "large trade", "next trade of 50 lots or more", "next trade", 13),
    Key("w", "w", "wide spread", "next spread above one tick", "next spread", 15),
    Key("r", "r", "roll", "next roll", "next roll", 17),
    Key("x", "x", "trouble", "next late event, gap or quiet", "next trouble", 18),
    Key("m", "m", "mark", "set a mark", "mark", 8),
    Key("l", "l", "loop", "loop: start, end, off", "", 7),
    Key("u", "u", "undo", "undo the last seek", "undo", 16),
    Key("i", "i", "", "more or less detail", ""),
    Key("?", "?", "keys", "all keys", "", 0),
    Key("q", "q", "end", "finish cleanly", "stop", 0),
    Key("Q", "Q", "", "finish, keep the place", "stop keep"),
)
_BY_NAME = {key.name: key for key in KEYS}


class KeyPad:
    """Turns keys into commands; ``tell`` is given what came of those that could not be obeyed.

    ``prompt`` is what is typed after ``g`` (``None``: nothing is), ``all_keys`` whether all keys are shown, ``detail``
    whether more is.
    """

    def __init__(self, control: Control, ways: Waypoints, tell: Callable[[str], None]) -> None:
        self.prompt: str | None = None
        self.all_keys = False
        self.detail = True
        self._control = control
        self._ways = ways
        self._tell = tell

    def press(self, key: str) -> None:
        """Do what a key means."""
        if self.prompt is not None:
            self._type(key)
        elif self.all_keys and key != "q":
            self.all_keys = False
        elif key == "g":
            self.prompt = ""
        elif key == "?":
            self.all_keys = True
        elif key == "i":
            self.detail = not self.detail
        elif key == "l":
            self._give(LoopHere())
        elif key in _BY_NAME:
            self._give(parse_command(_BY_NAME[key].words.split()))
        elif key not in ("escape", "enter", "tab"):
            self._tell(f"the key {key} does nothing; ? shows all keys")

    def _type(self, key: str) -> None:
        text = self.prompt or ""
        if key == "enter":
            self.prompt = None
            if text.strip():
                self._give(Seek(text.strip()))
        elif key == "escape":
            self.prompt = None
        elif key == "backspace":
            self.prompt = text[:-1]
        elif key == "tab":
            marks = [name for name in sorted(self._ways.marks) if name.startswith(text)]
            self.prompt = marks[0] if marks else text
        elif len(key) == 1 or key == "space":
            self.prompt = (text + (" " if key == "space" else key))[:_LONGEST]

    def _give(self, command: Command) -> None:
        try:
            answer = self._control.post(command)
        except SpyctlError as error:
            self._tell(_sentence(error))
            return
        answer.add_done_callback(self._answered)

    def _answered(self, answer: "asyncio.Future[Answer]") -> None:
        error = answer.exception() if not answer.cancelled() else None
        if isinstance(error, SpyctlError):
            self._tell(_sentence(error))


def _sentence(error: SpyctlError) -> str:
    return error.message + (f"; {error.remedy}" if error.remedy else "")
