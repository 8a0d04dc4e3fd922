"""The proxy by which a vendor's server is reached: one rule for its REST API and its sockets."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# The variables that count for a scheme, best first: HTTPS_PROXY is "https". Sockets begin as HTTP does.
_NAMES = {
    "https": ("https", "all"),
    "http": ("http", "all"),
    "wss": ("wss", "socks", "https", "all"),
    "ws": ("ws", "socks", "https", "http", "all"),
}


def proxy_of(url: str) -> str | None:
    """Return the URL of the proxy that ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` tell.

    ``None`` is the direct way.
    """
    parts = urlsplit(url)
    if parts.hostname in _LOOPBACK or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    name = next((name for name in _NAMES.get(parts.scheme, ()) if proxies.get(name)), None)
    if name is None:
        return None
    where = proxies[name].removeprefix("http://")  # which macOS writes before a SOCKS proxy too
    return where if "://" in where else f"{'socks5h' if name == 'socks' else 'http'}://{where}"
