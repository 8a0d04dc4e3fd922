"""How a path is written for a person."""

from pathlib import Path


def path_text(path: Path) -> str:
    """Write a path the way a user would: relative ones with ``./``, home as ``~``."""
    if not path.is_absolute():
        return str(path) if str(path).startswith(".") else f"./{path}"
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
