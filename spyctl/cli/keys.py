"""The vendors' keys, which come from the environment alone."""

import os
from typing import NamedTuple

from spyctl.errors import KeyRefusedError

DATABENTO_KEY = "DATABENTO_API_KEY"
MASSIVE_KEYS = ("POLYGON_API_KEY", "MASSIVE_API_KEY")


class ApiKey(NamedTuple):
    """A key, and the environment variable that holds it."""

    variable: str
    secret: str


def massive_key() -> ApiKey | None:
    """Return Massive's key, ``None`` where no variable holds one."""
    for name in MASSIVE_KEYS:
        if secret := os.environ.get(name, "").strip():
            return ApiKey(name, secret)
    return None


def required_massive_key() -> str:
    """Return Massive's key; raises :class:`KeyRefusedError` where there is none."""
    key = massive_key()
    if key is None:
        raise KeyRefusedError(
            f"no API key: {' and '.join(MASSIVE_KEYS)} are not set",
            f"export {MASSIVE_KEYS[0]}=…, or spyctl live --sim, which needs none",
        )
    return key.secret


def databento_key() -> str | None:
    """Return Databento's key, ``None`` where there is none."""
    return os.environ.get(DATABENTO_KEY, "").strip() or None
