"""Charts as SVG text that takes its colours from the page's style sheet."""

import math

_WIDTH, _HEIGHT = 520, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 30
_MOST_POINTS, _MOST_DOTS = 400, 40


def line_chart(curves, title, marked=None, base=None):
    """Draws curves over training steps.

    Args:
        curves: List of lists of (step, value), by step; values that are not finite are left out. At most three
            curves, as the style sheet has as many colours.
        title: What a screen reader says, without markup.
        marked: A (step, value) to put a ring around, or None.
        base: A value that the axis shows in any case, or None.

    Returns:
        SVG text, or an empty string if no point is left.
    """
    curves = [_thinned([(x, y) for x, y in points if math.isfinite(y)]) for points in curves]
    every = sorted(point for points in curves for point in points)
    if not every:
        return ''
    values = [y for _, y in every] + ([] if base is None else [base])
    low, high = min(values), max(values)
    ticks = nice_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    first, last = every[0][0], every[-1][0]

    def place(point):
        x, y = point
        across = (x - first) / (last - first) if last > first else 0.5
        return (_LEFT + across * (_WIDTH - _LEFT - _RIGHT),
                _HEIGHT - _BOTTOM - (y - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM))

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">']
    for tick in ticks:
        _, y = place((first, tick))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                     f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    anchors = {(first + last) // 2: 'middle', first: 'start', last: 'end'} if last > first else {first: 'middle'}
    for step, anchor in sorted(anchors.items()):
        x, _ = place((step, low))
        parts.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 10}" text-anchor="{anchor}">{step:,}</text>')
    for number, points in enumerate(curves):
        parts.append(_curve([place(point) for point in points], number))
    if marked:
        parts.append('<circle class="mark" cx="{:.1f}" cy="{:.1f}" r="6"/>'.format(*place(marked)))
    return ''.join(parts) + '</svg>'


def nice_ticks(low, high, wanted=4):
    """Chooses round numbers that enclose a range.

    Args:
        low: The least value.
        high: The greatest value; may equal `low`.
        wanted: About how many intervals.

    Returns:
        List of at least two floats, ascending, 1, 2, 2.5 or 5 times a power of ten apart.
    """
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = low - abs(low) * 0.1 - 1e-6, high + abs(high) * 0.1 + 1e-6
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    start, stop = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f'{number * step:.12g}') for number in range(start, stop + 1)]


def _curve(places, number):
    """A line through places in pixels; dots, where there are few."""
    dots = ''.join(f'<circle class="dot curve-{number}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places)
    if len(places) == 1:
        return dots
    path = ' '.join(f'{x:.1f},{y:.1f}' for x, y in places)
    return f'<polyline class="curve curve-{number}" points="{path}"/>' + (dots if len(places) <= _MOST_DOTS else '')


def _thinned(points):
    """At most 400 points, the last one always among them; each is the mean of those that it stands for."""
    group = math.ceil(len(points) / _MOST_POINTS)
    if group <= 1:
        return points
    groups = [points[start:start + group] for start in range(0, len(points), group)]
    return [(one[-1][0], sum(y for _, y in one) / len(one)) for one in groups]
