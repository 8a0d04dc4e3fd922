"""Answers of the control service: errors as the micro-service protocol has them, and nothing taken that is too long."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from spyctl.bus.control_service import _answer
from spyctl.errors import ControlError, UsageError


class Request:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.replies: list[Any] = []

    async def respond(self, data: bytes) -> None:
        self.replies.append(orjson.loads(data))

    async def respond_error(self, code: str, description: str, data: bytes) -> None:
        self.replies.append((code, description, orjson.loads(data)))


async def obey(words: str) -> Mapping[str, Any]:
    if words == "fly":
        raise UsageError("there is no command 'fly'", "one of pause, resume")
    if words == "step":
        raise ControlError("not now", "pause first")
    return {"did": words}


@pytest.mark.parametrize(
    ("data", "did"),
    [(b"pause", "pause"), (b"\xff", "\ufffd")],
)
async def test_a_command_is_answered_with_the_state(data: bytes, did: str) -> None:
    request: Any = Request(data)
    await _answer(request, obey)
    assert request.replies == [{"did": did}]


@pytest.mark.parametrize(
    ("data", "error", "remedy"),
    [
        (b"fly", "there is no command 'fly'", "one of pause, resume"),
        (b"step", "not now", "pause first"),
        (b"x" * 2_000, "a command of 2,000 bytes is too long", "such as pause, or seek 09:30"),
    ],
)
async def test_a_refusal_is_an_error_of_the_protocol(data: bytes, error: str, remedy: str) -> None:
    request: Any = Request(data)
    await _answer(request, obey)
    assert request.replies == [("2", error, {"error": error, "remedy": remedy, "code": 2})]


async def test_nobody_to_answer_is_no_error() -> None:
    async def respond(_: bytes) -> None:
        raise ValueError("no reply subject set")

    request: Any = SimpleNamespace(data=b"pause", respond=respond)
    await _answer(request, obey)
