"""Garbage collections that do not stop everything for long."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def short_collections() -> Iterator[None]:
    """Have the garbage collector pass over what exists by now, which is some hundred thousand objects of libraries.

    A full collection of those takes a tenth of a second on a quiet machine, and several times that on a busy one.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
