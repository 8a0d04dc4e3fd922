"""Text on its way out of the process: secrets are masked, control characters shown, our own styles applied.

Symbols, file names, vendors' words and the like come from outside, so none of their characters may steer a terminal.
Our own styles are therefore marks (:class:`Mark`) until the very end, where :func:`outgoing` turns them into escape
sequences. A control character becomes its picture, as wide as itself (``␛`` for ESC), so that columns stay in line.
"""

import re
from collections.abc import Iterator
from enum import StrEnum

MASK = "****"
_SHORTEST = 4  # what is shorter would be masked in every other word
_LONG = 8  # from here on a secret is masked within words, too


class Mark(StrEnum):
    """Styles, as Unicode's noncharacters, which no honest text holds."""

    END = "\ufdd0"
    BOLD = "\ufdd1"
    DIM = "\ufdd2"
    RED = "\ufdd3"
    GREEN = "\ufdd4"
    YELLOW = "\ufdd5"


_SEQUENCES = {
    Mark.END: "\x1b[0m",
    Mark.BOLD: "\x1b[1m",
    Mark.DIM: "\x1b[2m",
    Mark.RED: "\x1b[31m",
    Mark.GREEN: "\x1b[32m",
    Mark.YELLOW: "\x1b[33m",
}
# C1, line separators, and what reverses the direction of writing; a lone surrogate is the encoder's business.
_UNPICTURED = [*range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"} | dict.fromkeys(_UNPICTURED, "\ufffd")
_LINES = {code: picture for code, picture in _PICTURES.items() if code not in (0x09, 0x0A)}
_SHOWN = _LINES | {ord(mark): "\ufffd" for mark in Mark}
_STYLED = _LINES | {ord(mark): sequence for mark, sequence in _SEQUENCES.items()}

_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_KEY_VALUE = re.compile(
    r"(?i)\b((?:api[_-]?key|access[_-]?key|key|token|access[_-]?token|password|passwd|pwd|secret)=)[^&#\s\"'<>,;)]+"
)
_NEXT_URL = re.compile(r",(?=\s*[a-z]+://)")
_SCHEME = re.compile(r"\s*[a-z]+://")
_SERVER = re.compile(r"\s*(?:[\w.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?(?=\s*(?:,|[/?#;]|$))")

_secrets: dict[str, re.Pattern[str]] = {}


def learn(secret: str | None) -> None:
    """Have a secret masked in all that goes out from now on, in whatever form it is written."""
    for text in {(secret or "").strip(), *(secret or "").split()}:
        if len(text) >= _SHORTEST and text not in _secrets and not (text.isdigit() and len(text) < 6):
            forms = "|".join(map(re.escape, sorted(_forms(text), key=len, reverse=True)))
            within_words = len(text) >= _LONG and not text.isdigit()
            pattern = f"(?:{forms})" if within_words else rf"(?<![A-Za-z0-9])(?:{forms})(?![A-Za-z0-9])"
            _secrets[text] = re.compile(pattern, re.IGNORECASE)


def learn_url(text: str | None) -> None:
    """Have passwords, tokens and keys in a setting that holds one URL or several masked from now on."""
    from urllib.parse import unquote

    for url in _urls(text or ""):
        userinfo, _, rest = _after_scheme(url).rpartition("@")
        for secret in (userinfo.partition(":")[2] or userinfo, *re.findall(r"[?&;#][^=&;#]*=([^&;#]*)", rest)):
            learn(secret)
            learn(unquote(secret))
    if "@" in (text or ""):
        for piece in (text or "").split(","):
            if _masked_url(piece) == MASK or "@" in piece:
                learn(_after_scheme(piece).rpartition("@")[0] or _after_scheme(piece))


def mask_url(text: str) -> str:
    """Return a setting that holds one URL or several without users, passwords and queries, however malformed it is."""
    return ",".join(map(_masked_url, _urls(text))) if text else ""


def safe(text: str) -> str:
    """Return a text without secrets and without anything that steers a terminal, line ends and tabs excepted."""
    return _unsteering(masked(text), _SHOWN)


def safe_line(text: str) -> str:
    """Return a text like :func:`safe`, in one line."""
    return safe(text).translate(_PICTURES)


def outgoing(text: str) -> str:
    """Return a text as the terminal gets it: like :func:`safe`, with our own styles."""
    return _unsteering(masked(text), _STYLED)


def masked(text: str) -> str:
    """Return a text in which each secret that was learnt, and what looks like one in a URL, is masked."""
    for pattern in tuple(_secrets.values()):
        text = pattern.sub(MASK, text)
    if "://" in text:
        text = _USERINFO.sub(f"{MASK}@", text)
    return _KEY_VALUE.sub(rf"\g<1>{MASK}", text) if "=" in text else text


def _unsteering(text: str, table: dict[int, str]) -> str:
    return text if text.isprintable() else text.translate(table)


def _urls(text: str) -> list[str]:
    return _NEXT_URL.split(text) if "@" in text else text.split(",")  # a password may hold a comma


def _after_scheme(url: str) -> str:
    scheme = _SCHEME.match(url)
    return url[scheme.end() :] if scheme else url


def _masked_url(url: str) -> str:
    # A password may hold anything, so everything up to the last @ is one; what is no address may be one as well.
    rest = _after_scheme(url)
    userinfo, _, place = rest.rpartition("@")
    server = _SERVER.match(place)
    if server is None:
        return MASK
    scheme, tail = url[: len(url) - len(rest)], place[server.end() :]
    return f"{scheme}{f'{MASK}@' if userinfo else ''}{server[0]}{tail[:1] + MASK if tail.strip('/') else tail}"


def _forms(secret: str) -> Iterator[str]:
    import json
    from base64 import b64encode, urlsafe_b64encode
    from urllib.parse import quote, quote_plus

    yield secret
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret))
    data = secret.encode("utf-8", "surrogateescape")
    yield repr(data)[2:-1]
    for before in range(3):  # behind so many other bytes; what is shared with them or with the padding is left out
        for encode in (b64encode, urlsafe_b64encode):
            text = encode(bytes(before) + data).decode().rstrip("=")
            part = text[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
            if len(part) >= _SHORTEST:
                yield part
