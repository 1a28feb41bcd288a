"""A model as a table, as Keras prints one."""

import tensorflow.compat.v1 as tf

from nets import complexity

_HEADINGS = ('name', 'shape', 'parameters', 'multiply-adds')


def table(title, graph, scope, images, end_points):
    """A table of what a network is made of, from the images on.

    Args:
        title: The first line.
        graph: The network's `tf.Graph`.
        scope: The network's scope.
        images: Its images, a tensor.
        end_points: Its end points.

    Returns:
        A text: a line for each residual unit and for each layer outside of units, with the shape of the result, the
        trained parameters, and the multiply-adds for one image ("?" where height or width is unknown); then the totals.
    """
    costs = complexity.count_each(['{}/{}'.format(scope, part) for part in _parts(graph, scope)] + [scope], graph)
    total = costs.pop(scope)
    rows = [_HEADINGS, ('images', _show_shape(images), _show(0), _show(0))]
    for name, cost in costs.items():
        found = [key for key in end_points if key == name or key.startswith(name + '/')]
        # Only the normalisation after the last block has no end point, and it leaves the shape as it was.
        shape = _show_shape(end_points[min(found, key=len)]) if found else rows[-1][1]
        rows.append((name[len(scope) + 1:], shape, _show(cost.parameters), _show(cost.multiply_adds)))
    lines = _aligned(rows)
    lines.insert(1, '-' * len(lines[0]))
    return '\n'.join([title] + lines + ['-' * len(lines[0]), 'Parameters: {}; statistics: {}; multiply-adds: {}'.format(
        *map(_show, total))])


def _parts(graph, scope):
    """The units, and the layers outside of units, in order: the parts of a network that its variables are in."""
    parts = []
    for variable in graph.get_collection(tf.GraphKeys.GLOBAL_VARIABLES):
        if variable.op.name.startswith(scope + '/'):
            names = variable.op.name[len(scope) + 1:].split('/')
            part = '/'.join(names[:2] if names[1].startswith('unit_') else names[:1])
            if part not in parts:
                parts.append(part)
    return parts


def _aligned(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ['{:{}}  {:{}}  {:>{}}  {:>{}}'.format(*(item for pair in zip(row, widths) for item in pair))
            for row in rows]


def _show_shape(tensor):
    return ' x '.join('?' if size is None else str(size) for size in tensor.shape.as_list())


def _show(number):
    return '?' if number is None else '{:,}'.format(number)
