"""A module that is imported only when something of it is asked for.

nats-py imports aiohttp wherever it is installed (databento brings it), although only ``ws://`` addresses need it: more
than half of its own import, the system's certificates among it.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class StandIn(ModuleType):
    """Takes the place of a module that nobody has imported yet, until an attribute of it is wanted."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def defer_import(name: str) -> None:
    """Have later imports of a package cost nothing until they use it; one that is already imported stays."""
    if name not in sys.modules:
        sys.modules[name] = StandIn(name)
