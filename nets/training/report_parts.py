"""What the reports of evaluation and of training have in common."""

import html
import math

from nets.training import charts
from nets.training.report_style import STYLE

# caption, key of the record, factor, base of the chart
_METRICS = (('Total loss', 'loss', 1, None), ('Learning rate', 'learning_rate', 1, None),
            ('Images per second', 'images_per_sec', 1, 0), ('Time waiting for data in %', 'data_wait', 100, 0),
            ('Norm of the gradients', 'gradient_norm', 1, 0), ('Loss scale', 'loss_scale', 1, 0),
            ('Skipped steps', 'skipped', 1, 0))


def page(title, sections):
    """Makes a page that needs nothing else.

    Args:
        title: Text of its title.
        sections: List of HTML texts; empty ones are left out.

    Returns:
        The text of the HTML file.
    """
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>\n'
            + '\n'.join(one for one in sections if one) + '\n</main></body></html>\n')


def escape(text):
    """Text for HTML; bytes are read as UTF-8."""
    return html.escape(text.decode('utf-8', 'replace') if isinstance(text, bytes) else str(text))


def percent(share):
    """A share as text, rounded to hundredths of a percent; a dash for None."""
    return '–' if share is None else f'{share * 100:.2f} %'


def head(title, note):
    """The head of a page, of two texts."""
    return f'<header><h1>{escape(title)}</h1><p class="note">{escape(note)}</p></header>'


def tiles(rows):
    """Numbers in large print: HTML of (number, what it is) pairs."""
    return '<div class="tiles">' + ''.join(
        f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for value, name in rows) + '</div>'


def section(title, body, note=''):
    """A section of HTML, or nothing if its body is empty."""
    note = f'<p class="note">{note}</p>' if note else ''
    return f'<section><h2>{title}</h2>{note}{body}</section>' if body else ''


def series(records, key, factor=1):
    """The course of a number.

    Args:
        records: List of dicts with a `step`; those without a finite number are left out.
        key: Key of the number.
        factor: What it is multiplied by.

    Returns:
        List of (step, number), by step.
    """
    return sorted((one['step'], one[key] * factor) for one in records
                  if isinstance(one.get(key), (int, float)) and math.isfinite(one[key]))


def training_curves(metrics, evaluations=(), best=None, scores=None):
    """Charts of a training run.

    Args:
        metrics: Records of its `metrics.jsonl`.
        evaluations: Records of its `eval.jsonl`.
        best: The one of them that was best, or None.
        scores: See `nets.training.config.RunConfig`; None for none.

    Returns:
        HTML, empty if there is nothing to draw.
    """
    scores = scores or {}
    ring = next((point for key in list(scores)[:1] for point in series([best or {}], key, 100)), None)
    names = [name + ', the best in a ring' * (number == 0) for number, name in enumerate(scores.values())]
    figures = [
        _figure('Cross entropy in nats', [series(metrics, 'cross_entropy'), series(evaluations, 'loss')],
                ('training', 'evaluation')),
        _figure('Evaluation in %', [series(evaluations, key, 100) for key in scores], names, ring),
        *[_figure(caption, [series(metrics, key, factor)], base=base) for caption, key, factor, base in _METRICS]]
    figures = ''.join(figures)
    return f'<div class="figures">{figures}</div>' if figures else ''


def _figure(caption, curves, names=(), marked=None, base=None):
    """A chart with its caption; nothing if it is empty."""
    chart = charts.line_chart(curves, caption, marked, base)
    legend = ''.join(f' <span class="legend"><i class="curve-{number}"></i>{name}</span>'
                     for number, (name, points) in enumerate(zip(names, curves, strict=False)) if points)
    return chart and f'<figure><figcaption>{caption}{legend}</figcaption>{chart}</figure>'
