"""Where the value of an option comes from."""

from enum import Enum, auto
from typing import Any


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
