"""Learning curves as inline SVG. The colours are CSS variables, for light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

from apprentice.state.statistics import Rate

DASHES: Final = ("", "7 4", "2 4", "10 4 2 4", "1 5")  # lines also differ without colour
_LEFT, _TOP, _BOTTOM, _RIGHT = 56, 14, 46, 16


def curves(
    lines: Mapping[str, Sequence[Rate]],
    width: int = 720,
    height: int = 360,
    label: str = "",
    axis: str = "trial",
    marks: Sequence[int] = (),
) -> str:
    """Return an SVG of the share solved by trial, with 95 % intervals, a line each technique.

    Args:
        lines: technique -> the share after each trial; the first is on top.
        width: in user units.
        height: in user units.
        label: for screen readers.
        axis: the name of the horizontal axis.
        marks: the marks on the horizontal axis; () for 1, 2, 3 …
    """
    trials = max(len(rates) for rates in lines.values())
    counts = marks or range(1, trials + 1)
    step = (width - _LEFT - _RIGHT) / max(1, trials - 1 + 0.5)
    span = height - _TOP - _BOTTOM

    def x(trial: int, line: int) -> float:
        return _LEFT + step / 4 + trial * step + (line - (len(lines) - 1) / 2) * 5

    def y(share: float) -> float:
        return _TOP + span * (1 - share)

    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}" '
        'xmlns="http://www.w3.org/2000/svg">'
    ]
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y(tick):.1f}" '
            f'y2="{y(tick):.1f}"/><text class="tick" x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" '
            f'text-anchor="end">{100 * tick:.0f} %</text>'
        )
    for trial in range(trials):
        parts.append(
            f'<text class="tick" x="{_LEFT + step / 4 + trial * step:.1f}" '
            f'y="{height - _BOTTOM + 20}" text-anchor="middle">{counts[trial]}</text>'
        )
    parts.append(
        f'<text class="tick" x="{(width + _LEFT) / 2:.0f}" y="{height - 6}" '
        f'text-anchor="middle">{escape(axis)}</text>'
    )
    for index, (name, rates) in reversed(list(enumerate(lines.items()))):
        parts.append(_line(index, name, [(x(t, index), y(r.value)) for t, r in enumerate(rates)]))
        for trial, rate in enumerate(rates):
            where = f"{name}, {axis} {counts[trial]}"
            parts.append(_point(index, where, rate, x(trial, index), y))
    return "".join([*parts, "</svg>"])


def key(names: Sequence[str], about: Mapping[str, str]) -> str:
    """Return the legend, in the order of the lines."""
    entries = [
        '<li><svg width="34" height="12" aria-hidden="true">'
        f"{_line(index, name, [(1, 6), (33, 6)])}</svg>"
        f"<strong>{escape(name)}</strong> {escape(about.get(name, ''))}</li>"
        for index, name in enumerate(names)
    ]
    return f'<ul class="key">{"".join(entries)}</ul>'


def _line(index: int, name: str, points: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = DASHES[index % len(DASHES)]
    return (
        f'<polyline class="line s{index}" points="{path}" stroke-dasharray="{dash}">'
        f"<title>{escape(name)}</title></polyline>"
    )


def _point(index: int, where: str, rate: Rate, x: float, y: Callable[[float], float]) -> str:
    tooltip = (
        f"{where}: {rate.successes} of {rate.total} solved, "
        f"{100 * rate.value:.0f} % ({100 * rate.low:.0f} to {100 * rate.high:.0f})"
    )
    return (
        f'<g class="s{index}"><line class="whisker" x1="{x:.1f}" x2="{x:.1f}" '
        f'y1="{y(rate.low):.1f}" y2="{y(rate.high):.1f}"/>'
        f'<circle cx="{x:.1f}" cy="{y(rate.value):.1f}" r="4"/><title>{escape(tooltip)}</title></g>'
    )
