"""The README as a package index shows it, where the files beside it are not."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[([^\]]*)\]\((?!https?:)([^)]+)\)\n*")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Hands the README to the build with links that lead somewhere."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme of a package's metadata."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": with_links(text, self.config.get("pages", ""))}


def with_links(text: str, pages: str) -> str:
    """Put relative links below the address ``pages``; without one they become text, and pictures are left out."""
    if pages:
        return re.sub(r"\]\((?!https?:|#)", f"]({pages.rstrip('/')}/", text)
    return _LINK.sub(r"\1", _PICTURE.sub("", text))
