"""The page that shows an evaluation: one HTML file that needs nothing else."""

import base64

import numpy as np

from nets.data import images
from nets.training import report_parts
from nets.training.report_parts import escape, percent, section

_MOST_CELLS = 40
_MOST_PAIRS = 10
_MOST_BARS = 60


def page(details, metrics, mistakes, pictures):
    """Makes the page.

    Args:
        details: What `evaluation.evaluate` found; see there.
        metrics: Records of the training run's `metrics.jsonl`; empty if there are none.
        mistakes: List of `tally.Mistake`, the most confident first.
        pictures: List of bytes, a PNG file for each mistake.

    Returns:
        The text of the HTML file; names of classes and images are escaped.
    """
    name = f'{details["model_name"]} on {details["dataset_name"]}/{details["dataset_split_name"]}'
    return report_parts.page(name, [
        _head(details, name), _tiles(details), section('Training', report_parts.training_curves(metrics)),
        _classes(details), _confusion(details), _mistakes(details, mistakes, pictures), _skipped(details)])


def _head(details, title):
    step = '' if details['global_step'] is None else f' · step {details["global_step"]:,}'
    return report_parts.head(title, f'{details["checkpoint_path"]}{step} · {details["evaluated_at"]}')


def _tiles(details):
    """The numbers that matter most."""
    skipped = f', {details["num_skipped"]:,} skipped' if details['num_skipped'] else ''
    top_k = min(5, details['num_classes'])
    wrong = round((1 - details['top_1']) * details['num_examples'])
    return report_parts.tiles([
        (percent(details['top_1']), 'top-1 accuracy'), (percent(details['top_5']), f'top-{top_k} accuracy'),
        (f'{details["loss"]:.4f}', 'loss (cross entropy, nats)'),
        (f'{details["num_examples"]:,}', f'images{skipped}'), (f'{wrong:,}', 'mistakes')])


def _classes(details):
    """A bar for the accuracy of each class, the worst first."""
    totals = [sum(row) for row in details['confusion_matrix']]
    rows = sorted((accuracy, name, total) for accuracy, name, total in
                  zip(details['per_class_accuracy'], details['class_names'], totals, strict=True) if total)
    bars = ''.join(
        f'<div class="name" title="{escape(name)}">{escape(name)}</div>'
        f'<div class="bar"><i style="width:{accuracy * 100:.2f}%"></i></div>'
        f'<div class="number">{percent(accuracy)}</div><div class="number note">{total:,}</div>'
        for accuracy, name, total in rows[:_MOST_BARS])
    note = f'The {_MOST_BARS} worst of {len(rows)} classes.' if len(rows) > _MOST_BARS else 'The worst first.'
    return section('Accuracy of each class', f'<div class="bars">{bars}</div>', note)


def _confusion(details):
    """The matrix as a table, or as a picture when it is large, and the pairs most often confused."""
    matrix = np.array(details['confusion_matrix'])
    body = _matrix_table(matrix, details) if len(matrix) <= _MOST_CELLS else _matrix_picture(matrix)
    off = matrix - np.diag(np.diagonal(matrix))
    order = [place for place in np.argsort(-off, axis=None, kind='stable')[:_MOST_PAIRS] if off.flat[place]]
    names = [escape(name) for name in details['class_names']]
    pairs = ''.join(f'<li><b>{off[row, column]:,}</b> × {names[row]} taken for {names[column]}</li>'
                    for row, column in (divmod(place, len(matrix)) for place in order))
    pairs = f'<div><h3>Most often confused</h3><ol class="pairs">{pairs}</ol></div>' if pairs else ''
    return section('Confusion matrix', f'<div class="side"><div class="scroll">{body}</div>{pairs}</div>',
                   'Rows: the true class. Columns: what the network said.')


def _matrix_table(matrix, details):
    """A table whose cells are as dark as their share of the row."""
    names = [escape(name) for name in details['class_names']]
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    head = ''.join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    rows = []
    for row, name in enumerate(names):
        cells = []
        for column, other in enumerate(names):
            kind = 'right' if row == column else 'wrong'
            strong = ' strong' if shares[row, column] > 0.5 else ''
            # Rare mistakes stay visible: the square root lifts small shares.
            cells.append(f'<td class="{kind}{strong}" style="--share:{shares[row, column] ** 0.5:.3f}" '
                         f'title="{name} taken for {other}">{matrix[row, column] or ""}</td>')
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return (f'<table class="matrix"><thead><tr><td></td>{head}</tr></thead>'
            f'<tbody>{"".join(rows)}</tbody></table>')


def _matrix_picture(matrix):
    """One pixel per cell, the darker the larger its share of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    pixels = np.rint(255 * (1 - np.sqrt(shares))).astype(np.uint8)
    return f'<img class="matrix" alt="Confusion matrix" src="{_data_url(images.encode_grey_png(pixels))}">'


def _mistakes(details, mistakes, pictures):
    """The images that the network was most sure of and wrong about."""
    names = details['class_names']
    cards = ''.join(
        f'<figure class="card"><img alt="" src="{_data_url(picture)}">'
        f'<figcaption><span class="true">{escape(names[one.label])}</span> taken for '
        f'<span class="false">{escape(names[one.predicted])}</span><br>{percent(one.confidence)} sure'
        f'<br><small title="{escape(one.name)}">{escape(_short(one.name))}</small></figcaption></figure>'
        for one, picture in zip(mistakes, pictures, strict=True))
    return section('Worst mistakes', f'<div class="cards">{cards}</div>' if cards else '<p>None at all.</p>',
                   'The most confident first.' if cards else '')


def _short(name):
    """The last two parts of a path; bytes are read as UTF-8."""
    text = name.decode('utf-8', 'replace') if isinstance(name, bytes) else name
    return '/'.join(text.split('/')[-2:])


def _skipped(details):
    """The images that could not be decoded."""
    if not details['skipped']:
        return ''
    rows = ''.join(f'<li>{escape(name)}</li>' for name in details['skipped'][:100])
    return section('Skipped images', f'<ul>{rows}</ul>', f'{len(details["skipped"]):,} could not be decoded.')


def _data_url(png):
    """A PNG file as the address of an image."""
    return 'data:image/png;base64,' + base64.b64encode(png).decode('ascii')
