"""What a build adds: the README as a package index shows it, and the compiled kernel where there is a C compiler."""

import re
import shutil
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

_KERNEL = "spyctl/market/_kernel.abi3.so"

_PICTURE = re.compile(r"!\[([^\]]*)\]\((?!https?:)([^)]+)\)\n*")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Hands the README to the build with links that lead somewhere."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme of a package's metadata."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": with_links(text, self.config.get("pages", ""))}


class KernelHook(BuildHookInterface[Any]):
    """Compiles the kernel beside its source, and adds it to a wheel; without it, spyctl does the same with numpy."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; ``version`` is that of the target, e.g. ``editable``."""
        try:
            compile_kernel(Path(self.root), Path(self.root) / _KERNEL)
        except Exception as error:
            self.app.display_warning(f"the compiled kernel was not built, numpy does its work: {error}")
            return
        platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
        build_data.update(pure_python=False, tag=f"cp311-abi3-{platform}")
        build_data["artifacts"].append(_KERNEL)


def compile_kernel(root: Path, to: Path, *flags: str) -> None:
    """Compile ``kernel.c`` into a module that every later CPython can load. Raises what setuptools raises."""
    from setuptools import Distribution, Extension

    to.unlink(missing_ok=True)
    kernel = Extension(
        "spyctl.market._kernel",
        [str(root / "spyctl/market/kernel.c")],
        define_macros=[("Py_LIMITED_API", "0x030b0000")],
        extra_compile_args=list(flags),
        extra_link_args=list(flags),
        py_limited_api=True,
    )
    command: Any = Distribution({"name": "spyctl", "ext_modules": [kernel]}).get_command_obj("build_ext")
    with TemporaryDirectory() as folder:
        command.build_lib = command.build_temp = folder
        command.ensure_finalized()
        command.run()
        (built,) = (Path(folder) / "spyctl" / "market").glob("_kernel*.so")
        shutil.move(built, to)


def with_links(text: str, pages: str) -> str:
    """Put relative links below the address ``pages``; without one they become text, and pictures are left out."""
    if pages:
        return re.sub(r"\]\((?!https?:|#)", f"]({pages.rstrip('/')}/", text)
    return _LINK.sub(r"\1", _PICTURE.sub("", text))
