"""Charts as SVG text that takes its colours from the page's style sheet."""

import math

_WIDTH, _HEIGHT = 520, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 30
_MOST_POINTS = 400


def line_chart(points, title):
    """Draws a curve over training steps.

    Args:
        points: List of (step, value), by step; values that are not finite are left out.
        title: What a screen reader says.

    Returns:
        SVG text, or an empty string if fewer than two points are left.
    """
    points = _thinned([(x, y) for x, y in points if math.isfinite(y)])
    if len(points) < 2:
        return ''
    low, high = min(y for _, y in points), max(y for _, y in points)
    ticks = nice_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    first, last = points[0][0], points[-1][0]

    def place(x, y):
        across = _LEFT + (x - first) / max(last - first, 1) * (_WIDTH - _LEFT - _RIGHT)
        return across, _HEIGHT - _BOTTOM - (y - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">']
    for tick in ticks:
        _, y = place(first, tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                     f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for step in sorted({first, (first + last) // 2, last}):
        x, _ = place(step, low)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 10}" '
                     f'text-anchor="middle">{step:,}</text>')
    path = ' '.join('{:.1f},{:.1f}'.format(*place(x, y)) for x, y in points)
    return ''.join(parts) + f'<polyline class="curve" points="{path}"/></svg>'


def nice_ticks(low, high, wanted=4):
    """Chooses round numbers that enclose a range.

    Args:
        low: The least value.
        high: The greatest value; may equal `low`.
        wanted: About how many intervals.

    Returns:
        List of at least two floats, ascending, 1, 2, 2.5 or 5 times a power of ten apart.
    """
    if high <= low:
        low, high = low - abs(low) * 0.1 - 1e-6, high + abs(high) * 0.1 + 1e-6
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    start, stop = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(start, stop + 1)]


def _thinned(points):
    """At most 400 points, the last one always among them; each is the mean of those that it stands for."""
    group = math.ceil(len(points) / _MOST_POINTS)
    if group <= 1:
        return points
    groups = [points[start:start + group] for start in range(0, len(points), group)]
    return [(one[-1][0], sum(y for _, y in one) / len(one)) for one in groups]
