"""A day's quality as a picture: events, price, spread and latency over the day, quiet stretches shaded (SVG)."""

import math
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from spyctl.dbn.quality import SECONDS, PerSecond, Quality
from spyctl.market.scale import round_bounds, round_step
from spyctl.timing.instants import MS, SECOND, day_start

_WIDTH, _LEFT, _RIGHT, _TOP, _PANEL, _SPACE = 1000, 76, 28, 62, 130, 50
_COLUMNS, _TICKS = 460, 4
_COLOURS = {"trades": "#d97706", "mbp-10": "#2563eb"}
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#374151}.t{font-size:16px;font-weight:600}.h{font-weight:600}"
    ".a{stroke:#9ca3af;fill:none}.g{stroke:#e5e7eb}.q{fill:#ef4444;fill-opacity:.13}"
)
_Curve = tuple[str, NDArray[np.float64]]


def draw_quality(assessed: Mapping[str, tuple[Quality, PerSecond]], day: date, title: str) -> str:
    """Draw the quality of a day, from its first to its last second with a record; returns an SVG document."""
    busy = np.flatnonzero(sum(seconds.records for _, seconds in assessed.values()))
    first, last = (int(busy[0]), int(busy[-1]) + 1) if len(busy) else (0, SECONDS)
    step = max(1, -(-(last - first) // _COLUMNS))
    picture = _Picture(first, first + step * -(-(last - first) // step), step, day)
    quiet = [stretch for quality, _ in assessed.values() if quality.leads for stretch in quality.quiet]
    per_s = [(schema, picture.sums(seconds.records) / step) for schema, (_, seconds) in assessed.items()]
    picture.panel(f"events per second{picture.mean}", per_s, quiet, unit="/s")
    prices = [
        (schema, picture.means(seconds.price_sum, seconds.prices))
        for schema, (quality, seconds) in assessed.items()
        if quality.instruments == 1 and seconds.prices.any()  # a mean of several says nothing
    ]
    if prices:
        picture.panel(f"price, middle of the book{picture.mean}", prices, quiet, from_zero=False)
    spreads = [
        (schema, picture.means(seconds.spread_sum, seconds.spreads))
        for schema, (_, seconds) in assessed.items()
        if seconds.spreads.any()
    ]
    picture.panel(f"spread{picture.mean}", spreads, quiet)
    latency = [
        (schema, picture.means(seconds.latency_sum_ns, seconds.latencies) / MS)
        for schema, (_, seconds) in assessed.items()
    ]
    picture.panel(f"latency, ts_recv − ts_event{picture.mean}", latency, quiet, unit=" ms")
    worst = [(schema, picture.peaks(seconds.latency_max_ns) / MS) for schema, (_, seconds) in assessed.items()]
    picture.panel(f"latency, largest of {step} s", worst, quiet, unit=" ms")
    return picture.document(title, list(assessed))


class _Picture:
    def __init__(self, first: int, last: int, step: int, day: date) -> None:
        self._first, self._last, self._step = first, last, step
        self._midnight_ns = day_start(day)
        self._parts: list[str] = []
        self._y = _TOP
        self.mean = f", mean of {step} s"

    def _columns(self, values: NDArray[np.float64], fill: float = 0.0) -> NDArray[np.float64]:
        cut = values[self._first : self._last].astype(float)
        padded = np.concatenate([cut, np.full(self._last - self._first - len(cut), fill)])
        return padded.reshape(-1, self._step)

    def sums(self, values: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(self._columns(values.astype(float)).sum(axis=1))

    def peaks(self, values: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(self._columns(values.astype(float)).max(axis=1))

    def means(self, sums: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        number = self.sums(counts)
        return np.where(number > 0, self._columns(sums).sum(axis=1) / np.maximum(number, 1), np.nan)

    def _x(self, second: float) -> float:
        return _LEFT + (second - self._first) / (self._last - self._first) * (_WIDTH - _LEFT - _RIGHT)

    def panel(
        self,
        title: str,
        curves: Sequence[_Curve],
        quiet: Sequence[tuple[int, int]],
        *,
        unit: str = "",
        from_zero: bool = True,
    ) -> None:
        top, bottom = self._y, self._y + _PANEL
        ends = [end(values) for _, values in curves if np.isfinite(values).any() for end in (np.nanmin, np.nanmax)]
        low, high = (float(min(ends)), float(max(ends))) if ends else (0.0, 1.0)
        low = 0.0 if from_zero else low
        step = round_step((high - low) / _TICKS if high > low else 1.0)
        low, high = round_bounds(low, high, step)
        add = self._parts.append
        add(f'<text class="h" x="{_LEFT}" y="{top - 8}">{title}</text>')
        for from_ns, to_ns in quiet:
            left, right = (
                min(max(self._x((ns - self._midnight_ns) / SECOND), _LEFT), _WIDTH - _RIGHT) for ns in (from_ns, to_ns)
            )
            add(f'<rect class="q" x="{left:.1f}" y="{top}" width="{max(right - left, 1):.1f}" height="{_PANEL}"/>')
        for i in range(round((high - low) / step) + 1):
            y = bottom - i * step / (high - low) * _PANEL
            add(f'<path class="g" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
            text = _number(low + i * step, step)
            add(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}{unit}</text>')
        for schema, values in curves:
            shares = (values - low) / (high - low)
            add(f'<path fill="none" stroke="{_COLOURS[schema]}" d="{self._path(shares, bottom)}"/>')
        self._axis(bottom)
        self._y = bottom + _SPACE

    def _path(self, shares: NDArray[np.float64], bottom: int) -> str:
        steps, pen = [], "M"
        for column, share in enumerate(shares.tolist()):
            if math.isnan(share):
                pen = "M"
                continue
            x = self._x(self._first + (column + 0.5) * self._step)
            steps.append(f"{pen}{x:.1f} {bottom - max(0.0, share) * _PANEL:.1f}")
            pen = "L"
        return "".join(steps)

    def _axis(self, bottom: int) -> None:
        span = self._last - self._first
        every = next((s for s in (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10800) if span / s <= 12), 14400)
        for second in range(-(-self._first // every) * every, self._last + 1, every):
            clock = f"{second // 3600 % 24:02}:{second // 60 % 60:02}" + (f":{second % 60:02}" if every < 60 else "")
            self._parts.append(
                f'<path class="a" d="M{self._x(second):.1f} {bottom}v4"/>'
                f'<text x="{self._x(second):.1f}" y="{bottom + 17}" text-anchor="middle">{clock}</text>'
            )

    def document(self, title: str, schemas: Sequence[str]) -> str:
        height = self._y - _SPACE + 48
        legend = "".join(
            f'<rect x="{_WIDTH - 170 + i * 80}" y="14" width="10" height="10" fill="{_COLOURS[schema]}"/>'
            f'<text x="{_WIDTH - 155 + i * 80}" y="23">{schema}</text>'
            for i, schema in enumerate(schemas)
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}">'
            f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
            f'<text class="t" x="{_LEFT}" y="24">{title}</text>{legend}{"".join(self._parts)}'
            f'<text x="{_LEFT}" y="{height - 10}">UTC; shaded: a minute or more without a record</text></svg>\n'
        )


def _number(value: float, step: float) -> str:
    return f"{value:,.{max(0, -math.floor(math.log10(step)))}f}"
