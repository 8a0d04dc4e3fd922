"""Sizes as a person reads them."""


def size_text(size: float) -> str:
    """Write a number of bytes in units of 1000, as ``46 kB``, ``2.72 MB``, ``38 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    if unit in ("bytes", "kB") or size >= 100 or (unit == "GB" and size >= 10):
        return f"{size:,.0f} {unit}"
    return f"{size:.1f} {unit}" if size >= 10 else f"{size:.2f} {unit}"
