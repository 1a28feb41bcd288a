"""What the reports of evaluations have in common: the confusion matrix, and the images that were left out."""

import base64

import numpy as np

from nets.data import images
from nets.training.report_parts import escape, section

_MOST_CELLS = 40
_MOST_PAIRS = 10


def confusion(details, note=''):
    """The matrix as a table, or as a picture when it is large, and the pairs most often confused.

    Args:
        details: Dict with the `confusion_matrix`, whole numbers, and the `class_names`.
        note: What else to say of it.

    Returns:
        A section of HTML.
    """
    matrix = np.array(details['confusion_matrix'])
    body = _matrix_table(matrix, details) if len(matrix) <= _MOST_CELLS else _matrix_picture(matrix)
    off = matrix - np.diag(np.diagonal(matrix))
    order = [place for place in np.argsort(-off, axis=None, kind='stable')[:_MOST_PAIRS] if off.flat[place]]
    names = [escape(name) for name in details['class_names']]
    pairs = ''.join(f'<li><b>{off[row, column]:,}</b> × {names[row]} taken for {names[column]}</li>'
                    for row, column in (divmod(place, len(matrix)) for place in order))
    pairs = f'<div><h3>Most often confused</h3><ol class="pairs">{pairs}</ol></div>' if pairs else ''
    return section('Confusion matrix', f'<div class="side"><div class="scroll">{body}</div>{pairs}</div>',
                   'Rows: the true class. Columns: what the network said.' + note)


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
                         f'title="{name} taken for {other}">{_short_number(matrix[row, column])}</td>')
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return (f'<table class="matrix"><thead><tr><td></td>{head}</tr></thead>'
            f'<tbody>{"".join(rows)}</tbody></table>')


def _matrix_picture(matrix):
    """One pixel per cell, the darker the larger its share of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    pixels = np.rint(255 * (1 - np.sqrt(shares))).astype(np.uint8)
    return f'<img class="matrix" alt="Confusion matrix" src="{data_url(images.encode_grey_png(pixels))}">'


def _short_number(number):
    """A whole number in a few digits, for a cell of a table; nothing for 0."""
    if number >= 1e6:
        return f'{number / 1e6:.4g}M'
    return f'{number / 1e3:.0f}k' if number >= 1e5 else number or ''


def skipped(details):
    """The images that could not be decoded: a section of HTML, or nothing.

    Args:
        details: Dict with the list `skipped` of their names.
    """
    if not details['skipped']:
        return ''
    rows = ''.join(f'<li>{escape(name)}</li>' for name in details['skipped'][:100])
    return section('Skipped images', f'<ul>{rows}</ul>', f'{len(details["skipped"]):,} could not be decoded.')


def data_url(png):
    """A PNG file as the address of an image."""
    return 'data:image/png;base64,' + base64.b64encode(png).decode('ascii')
