"""What a file of weights is, holds and fits, and whether its numbers can be right."""

import hashlib
import os
import re

import numpy as np

from nets import nets_factory
from nets.checkpoints import fitting, formats, mismatch, tables

_VARIANCE = re.compile(r'(^|[/.])(moving_variance|running_var|running_std)$')
# Publishers of torch's weights put the start of the file's SHA-256 before the ending: resnet50-0676ba61.pth.
_NAMED_HASH = re.compile(r'-([0-9a-f]{8,64})\.(?:pth|pt|bin|safetensors)$')
_CHUNK = 1 << 20


def inspect(path, network=None, num_classes=None, ema=False):
    """Reads all of a file of weights and tells of it.

    Args:
        path: As of `formats.open_weights`.
        network: Name of a network that it should fit, or None.
        num_classes: Number of logits that it should have, or None for that of the file.
        ema: As of `formats.open_weights`.

    Returns:
        A dict that JSON takes: `path`, `format`, `step`, `files` (path, bytes and SHA-256 of each), `variables` (name,
        shape, type and bytes of each), `num_values`, `num_bytes`, `num_classes` (or None), `moving_averages` and
        `optimizer` (whether they are there, and names of slots), `networks` (all of them, the best first, with the
        numbers of names that are `missing`, `misshaped` and `unexpected`, and whether it `fits` in all of them),
        `problems` (of the numbers: name and what is wrong) and, with `network`, `difference`: None or a text that says
        what differs.

    Raises:
        ValueError: There is no such file or network, or the file is damaged.
    """
    if num_classes is not None and num_classes < 0:
        raise ValueError(f'The number of classes must be 0, for none, or more; got {num_classes}.')
    if network is not None and network not in nets_factory.NETWORKS:
        nets_factory.get_network_fn(network, num_classes)  # raises the error that names those that there are
    with formats.open_weights(path, ema=ema) as weights:
        shapes = {name: shape for name, (shape, _) in weights.shapes.items()}
        problems = [problem for name in shapes for problem in _problems(name, weights.read(name))]
        files = [_file(part) for part in weights.files]
        _, averages, slots = fitting.split_slots(shapes)
        found = {
            'path': os.fspath(path), 'format': weights.format, 'step': weights.step, 'files': files,
            'variables': [{'name': name, 'shape': list(shape), 'type': dtype, 'bytes': _bytes(shape, dtype)}
                          for name, (shape, dtype) in weights.shapes.items()],
            'num_classes': fitting.num_classes_of(shapes),
            'moving_averages': bool(averages) or weights.has_averages,
            'optimizer': bool(slots) or weights.has_optimizer,
            'slots': sorted({name.rsplit('/', 1)[1] for name in slots}),
            'networks': [_network(fit) for fit in fitting.rank(shapes)],
            'problems': problems + _renamed(files)}
    found['num_values'] = sum(int(np.prod(shape, dtype=object)) for shape in shapes.values())
    found['num_bytes'] = sum(variable['bytes'] for variable in found['variables'])
    if network is not None:
        found['difference'] = difference(shapes, path, network, num_classes)
    return found


def difference(shapes, path, network, num_classes=None):
    """Says how a file differs from a network.

    Args:
        shapes: Dict from name in the file to shape.
        path: The file, for the text.
        network: Name of the network.
        num_classes: Number of logits that it should have, or None for that of the file.

    Returns:
        A text of several lines, or None if the file has all variables of the network and no others in its scope, and
        its names are not those of another network with another layout.
    """
    fit = fitting.fit(shapes, network, num_classes)
    best = fitting.rank(shapes)[0]
    if not (fit.missing or fit.misshaped or fit.unexpected):
        return _other_layout(fit, best, path)
    classes = fitting.num_classes_of(shapes) if num_classes is None else num_classes
    names = list(tables.variables(network, classes))
    outer = fit.prefix.rstrip('/').rpartition('/')[0]
    if fitting.origin_of(shapes) == 'slim':
        held = sorted(name[len(outer):].lstrip('/') if name.startswith(fit.prefix) else name for name in shapes)
    else:  # names of others, as ours
        held = sorted(set(names) - set(fit.missing)) + fit.unexpected
    if fit.missing or fit.misshaped:
        misshaped = [(name, (theirs, 'shape'), (ours, 'shape')) for name, theirs, ours in fit.misshaped]
        text = mismatch.describe(path, names, held, fit.missing, misshaped, fit.unexpected, user=mismatch.COMMANDS)
    else:
        text = '\n'.join([f'{path} has all variables of {network}, and others in its scope.'] + mismatch.listed(
            'Unexpected', fit.unexpected))
    if best.network != network and best.matched:
        text += f'\nOf all networks it fits {best.network} best.'
    return text


def _other_layout(fit, best, path):
    """Says what sets two networks of the same variables apart, if the file's names are those of the other one."""
    if fit.same_origin or not best.same_origin:
        return None
    ours, theirs = (nets_factory.NETWORKS[name].builder.layout for name in (fit.network, best.network))
    columns = [column for column in ours._fields if getattr(ours, column) != getattr(theirs, column)]
    return '\n'.join([f'{path} has the variables of {fit.network}, but it is of {best.network}, which computes '
                      'something else with them:'] + [
        f'  {column} is {getattr(theirs, column)!r} in {best.network} and {getattr(ours, column)!r} in {fit.network}'
        for column in columns]) if columns else None


def _network(fit):
    """A `fitting.Fit` as what JSON takes."""
    wrong = [len(fit.missing), len(fit.misshaped), len(fit.unexpected)]
    return {'network': fit.network, 'fits': not any(wrong), 'same_origin': fit.same_origin, 'matched': fit.matched,
            'missing': wrong[0], 'misshaped': wrong[1], 'unexpected': wrong[2]}


def _problems(name, array):
    """What is wrong with the numbers of an array, as dicts."""
    if array.dtype.kind != 'f' or not array.size:
        return []
    nan, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    texts = [f'{count} of {array.size} are {what}' for count, what in ((nan, 'NaN'), (infinite, 'infinite')) if count]
    if _VARIANCE.search(name.replace(fitting.AVERAGE_SUFFIX, '')):
        if (array < 0).any():
            texts.append(f'{int((array < 0).sum())} of {array.size} variances are negative, down to {array.min():.3g}')
        if not array.any():
            texts.append(f'all {array.size} variances are zero')
    return [{'name': name, 'problem': text} for text in texts]


def _renamed(files):
    """Files whose names tell another SHA-256 than they have."""
    problems = []
    for file in files:
        match = _NAMED_HASH.search(os.path.basename(file['path']))
        # A number without letters is more likely a date.
        if match and not match.group(1).isdigit() and not file['sha256'].startswith(match.group(1)):
            problems.append({'name': file['path'], 'problem': f'its name says that its SHA-256 begins with '
                             f'{match.group(1)}, but that begins with {file["sha256"][:8]}: damaged, or renamed'})
    return problems


def _file(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(_CHUNK), b''):
            digest.update(chunk)
    return {'path': path, 'bytes': os.path.getsize(path), 'sha256': digest.hexdigest()}


def _bytes(shape, dtype):
    try:
        size = np.dtype(dtype).itemsize
    except TypeError:  # strings of TensorFlow
        size = 0
    return int(np.prod(shape, dtype=object)) * size
