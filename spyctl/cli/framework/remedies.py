"""What to type about an error: lower layers raise facts, and only the command line knows its flags."""

from collections.abc import Callable
from typing import Any

from spyctl.errors import SpyctlError

# The remedy of a type of error, made of its facts; an error that is not listed brings its own.
REMEDIES: dict[type[SpyctlError], Callable[[Any], str]] = {}


def remedy_for(error: SpyctlError) -> str:
    """Return what to do about an error, as a user of the command line types it; empty where nobody knows."""
    for kind in type(error).__mro__:
        if kind in REMEDIES:
            return REMEDIES[kind](error)
    return error.remedy
