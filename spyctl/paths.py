"""The user's folders, and paths as a person reads them.

The folders are ``~/.config``, ``~/.local/share`` and ``~/.cache``, or what ``XDG_CONFIG_HOME``, ``XDG_DATA_HOME`` and
``XDG_CACHE_HOME`` name; on macOS too, as the ``nats`` CLI does it.
"""

from pathlib import Path


def config_folder(program: str = "spyctl") -> Path:
    """Return where a program's settings are."""
    from platformdirs.unix import Unix  # 10 ms that completion does not have

    return Unix(program).user_config_path


def data_folder() -> Path:
    """Return where spyctl keeps what must last."""
    from platformdirs.unix import Unix

    return Unix("spyctl").user_data_path


def cache_folder() -> Path:
    """Return where spyctl keeps what it can compute again."""
    from platformdirs.unix import Unix

    return Unix("spyctl").user_cache_path


def path_text(path: Path) -> str:
    """Write a path as a user would: a relative one with ``./``, the home folder as ``~``."""
    if not path.is_absolute():
        return str(path) if str(path).startswith(".") else f"./{path}"
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
