"""What writes events: the compiled ``kernel.c`` where it was built, else numpy. The bytes are the same."""

import os
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from spyctl.errors import UsageError

VARIABLE = "SPYCTL_IMPL"
NUMBER_BYTES = 20  # of the longest number that is written
_NUMPY, _COMPILED, _AUTO = "numpy", "compiled", "auto"


class Kernel(Protocol):
    """The compiled functions; buffers are numpy arrays, ``ROOM`` is more than an event takes, its symbol aside."""

    ROOM: int

    def encode(
        self,
        trades: Any,
        books: Any,
        order: Any,
        symbols: Any,
        width: int,
        literals: tuple[bytes, ...],
        data: Any,
        ends: Any,
        /,
    ) -> int:
        """Write events and where each ends; returns how many bytes, -1 where numpy has to write them.

        Raises :class:`IndexError` where there is no such event, or no room.
        """
        ...

    def frame(
        self,
        texts: Any,
        starts: Any,
        lengths: Any,
        ranks: Any,
        heads: tuple[bytes, ...],
        first: int,
        tail: bytes,
        data: Any,
        /,
    ) -> int:
        """Write texts as messages with numbers from ``first`` on; returns how many bytes.

        Raises :class:`IndexError` where there is no such text, or no room.
        """
        ...


class Encoder(NamedTuple):
    """The kernel, or ``None`` where numpy writes; ``reason`` says why it does."""

    kernel: Kernel | None
    reason: str | None = None

    @property
    def name(self) -> str:
        """``compiled`` or ``numpy``."""
        return _NUMPY if self.kernel is None else _COMPILED


@cache
def encoder() -> Encoder:
    """Return what ``SPYCTL_IMPL`` asks for and this installation has. Raises :class:`UsageError`."""
    wanted = os.environ.get(VARIABLE) or _AUTO
    if wanted not in (_NUMPY, _COMPILED, _AUTO):
        raise UsageError(f"{VARIABLE} is {wanted!r}", f"{_AUTO}, {_NUMPY} or {_COMPILED}")
    if wanted == _NUMPY:
        return Encoder(None, f"{VARIABLE}={_NUMPY}")
    try:
        return Encoder(cast(Kernel, import_module("spyctl.market._kernel")))
    except ImportError as error:
        reason = "the compiled kernel was not built" if isinstance(error, ModuleNotFoundError) else str(error)
        if wanted == _COMPILED:
            remedy = f"install spyctl again where there is a C compiler, or {VARIABLE}={_NUMPY}"
            raise UsageError(f"{VARIABLE}={_COMPILED}: {reason}", remedy) from None
        return Encoder(None, reason)
