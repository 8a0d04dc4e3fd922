"""Where the value of an option comes from."""

from enum import Enum, auto
from typing import Any

from spyctl.cli.framework.settings import load
from spyctl.errors import UsageError, path_text


class Origin(Enum):
    """The places that may set an option, the first one that does wins."""

    FLAG = auto()
    ENVIRONMENT = auto()
    FILE = auto()
    DEFAULT = auto()


_ORIGINS = {
    "COMMANDLINE": Origin.FLAG,
    "ENVIRONMENT": Origin.ENVIRONMENT,
    "DEFAULT_MAP": Origin.FILE,
}


def origin_of(context: Any, parameter: str) -> Origin:
    """Tell where a parameter's value comes from; ``context`` is the command's :class:`typer.Context`."""
    source = context.get_parameter_source(parameter)
    return _ORIGINS.get(source.name, Origin.DEFAULT) if source is not None else Origin.DEFAULT


def is_flag(context: Any, parameter: str) -> bool:
    """Tell whether a parameter was given on the command line."""
    return origin_of(context, parameter) is Origin.FLAG


def setting_of(context: Any, param: Any) -> str:
    """Name the place that sets a parameter where it is not the command line: ``REPLAY_SPEED``, ``speed in FILE``; else
    empty."""
    match origin_of(context, param.name):
        case Origin.ENVIRONMENT:
            return str(param.envvar)
        case Origin.FILE:
            root = context.find_root()
            name = max(param.opts, key=len).lstrip("-")
            command = context.command_path.removeprefix(root.command_path).strip()
            path = load(root.command).origins.get((command, name))
            return f"{name} in {path_text(path)}" if path is not None else name
        case _:
            return ""


def name_setting(context: Any, error: UsageError) -> None:
    """Have an error about a value (it begins with it, in quotes) name the setting that the value comes from."""
    for param in context.command.params:
        value = context.params.get(param.name)
        values = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(text, str) and error.message.startswith(f"{text!r} ") for text in values):
            setting = setting_of(context, param)
            error.message = f"{setting}: {error.message}" if setting else error.message
            return
