"""The values of options, converted without pydantic where that is simple.

Typer has pydantic convert each value, also one that nobody gave; importing it and building its adapters costs more than
all the rest of a short command. A text, a number, a choice or a path that is as it should be needs none of that.
Whatever is not so simple, and so each error, is left to Typer.
"""

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

_NOT_SIMPLE = object()


class Conversion:
    """Converts the values of one parameter; it takes the place of the parameter's ``get_runtime_param``."""

    def __init__(self, of_typer: Callable[[], Any]) -> None:
        self._of_typer = of_typer

    @classmethod
    def provide(cls, param: Any) -> None:
        """Have a parameter of a command convert like that, from now on."""
        if not isinstance(param.get_runtime_param, cls):
            param.get_runtime_param = cls(param.get_runtime_param)

    def __call__(self) -> "Conversion":
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value that the command gets; raises Typer's ``BadParameter``."""
        converted = _converted(value, param)
        return self._of_typer().coerce(value, param=param, ctx=ctx) if converted is _NOT_SIMPLE else converted


def _converted(value: Any, param: Any) -> Any:
    kind, info = param.type_descriptor.annotation, param.type_descriptor.parameter_info
    is_list = param.multiple or param.nargs == -1
    if value is None:
        return () if is_list else None
    if info.parser is not None or is_list != (get_origin(kind) is list):
        return _NOT_SIMPLE
    if not is_list:
        return _simple(value, kind, info)
    if not isinstance(value, list | tuple):
        return _NOT_SIMPLE
    values = [_simple(each, get_args(kind)[0], info) for each in value]
    return _NOT_SIMPLE if _NOT_SIMPLE in values else values


def _simple(value: Any, kind: Any, info: Any) -> Any:
    if kind is str:
        return value if isinstance(value, str) else _NOT_SIMPLE
    if kind is int:
        return _number(value, info)
    if kind is Path:
        return _path(value, info)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next((choice for choice in kind if value in (choice, choice.value)), _NOT_SIMPLE)
    return _NOT_SIMPLE


def _number(value: Any, info: Any) -> Any:
    if not (type(value) is int or (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19)):
        return _NOT_SIMPLE
    number = int(value)
    low, high = info.min, info.max
    return number if (low is None or low <= number) and (high is None or number <= high) else _NOT_SIMPLE


def _path(value: Any, info: Any) -> Any:
    checked = info.exists or info.writable or info.resolve_path or not (info.file_okay and info.dir_okay)
    if checked or not isinstance(value, str | Path):
        return _NOT_SIMPLE
    if info.readable and os.path.exists(value) and not os.access(value, os.R_OK):  # noqa: PTH110 - a str or a Path
        return _NOT_SIMPLE
    return Path(value)
