"""The compiled kernel, built for tests, and what encodes with it or with numpy."""

import os
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest

from hatch_build import compile_kernel
from spyctl.market import kernel
from spyctl.market.kernel import Encoder, Kernel
from tests.conftest import ROOT

FLAGS = "SPYCTL_TEST_KERNEL_FLAGS"  # more flags for the compiler


def has_compiler() -> bool:
    """Tell whether there is a C compiler, and what it needs to know of this Python."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(compiler) is not None and (Path(sysconfig.get_path("include")) / "Python.h").exists()


@cache
def built_kernel() -> Kernel | None:
    """Compile the kernel as it stands, ``None`` where there is no compiler."""
    if not has_compiler():
        return None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "_kernel.abi3.so"
        compile_kernel(ROOT, path, *os.environ.get(FLAGS, "").split())
        loader = ExtensionFileLoader("spyctl.market._kernel", str(path))
        spec = spec_from_loader(loader.name, loader)
        assert spec is not None
        module: Any = module_from_spec(spec)
        loader.exec_module(module)
    return cast(Kernel, module)


@contextmanager
def encoded_by(compiled: Kernel | None) -> Iterator[None]:
    """Let the kernel encode, or numpy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "encoder", lambda: Encoder(compiled))
        yield


def encoders() -> list[Kernel | None]:
    """Return what may encode here: numpy (``None``), and the kernel where it can be built."""
    compiled = built_kernel()
    return [None] if compiled is None else [None, compiled]
