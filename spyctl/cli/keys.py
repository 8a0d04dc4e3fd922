"""The vendors' keys, which come from the environment alone."""

import os
import re
from typing import NamedTuple

from spyctl.errors import KeyRefusedError

DATABENTO_KEY = "DATABENTO_API_KEY"
MASSIVE_KEYS = ("POLYGON_API_KEY", "MASSIVE_API_KEY")
_KEY = re.compile(r"[!-~]+")  # what may stand in a header


class ApiKey(NamedTuple):
    """A key, and the environment variable that holds it."""

    variable: str
    secret: str


def massive_key() -> ApiKey | None:
    """Return Massive's key, ``None`` where no variable holds one; raises :class:`KeyRefusedError` where it cannot be
    one.
    """
    for name in MASSIVE_KEYS:
        if secret := _key(name):
            return ApiKey(name, secret)
    return None


def required_massive_key() -> str:
    """Return Massive's key; raises :class:`KeyRefusedError` where there is none, or what is there cannot be one."""
    key = massive_key()
    if key is None:
        raise KeyRefusedError(
            f"no API key: {' and '.join(MASSIVE_KEYS)} are not set",
            f"export {MASSIVE_KEYS[0]}=…, or spyctl live --sim, which needs none",
        )
    return key.secret


def databento_key() -> str | None:
    """Return Databento's key, ``None`` where there is none; raises :class:`KeyRefusedError` where it cannot be one."""
    return _key(DATABENTO_KEY) or None


def required_databento_key() -> str:
    """Return Databento's key; raises :class:`KeyRefusedError` where there is none, or what is there cannot be one."""
    key = databento_key()
    if key is None:
        raise KeyRefusedError(
            f"no key for futures: {DATABENTO_KEY} is not set",
            f"export {DATABENTO_KEY}=…, or spyctl live --sim-es, which needs none",
        )
    return key


def _key(variable: str) -> str:
    secret = os.environ.get(variable, "").strip()
    if secret and not _KEY.fullmatch(secret):
        raise KeyRefusedError(
            f"{variable} does not hold a key: there are line breaks, spaces or odd characters in it", "copy it again"
        )
    return secret
