"""Which networks a file of weights fits: names and shapes of the file beside those of every network's table.

Files of Keras, torch and NVIDIA are compared through the maps of names. That names and shapes fit does not make
functions equal: networks of another origin may have the same variables and another stride or padding.
"""

import collections
import re

from nets import nets_factory
from nets.checkpoints import keras_names, nvidia_names, origins, tables, torch_names

AVERAGE_SUFFIX = '/ExponentialMovingAverage'

# How one network compares. Lists of names: `missing` and `misshaped` are the network's, `unexpected` the file's;
# `misshaped` are tuples (name, shape in the file, shape in the network). `matched` is the number of those that fit,
# `prefix` what comes before the network's names in the file, `same_origin` whether the file was made for this network's
# layout, as far as its names tell.
Fit = collections.namedtuple('Fit', ['network', 'matched', 'missing', 'misshaped', 'unexpected', 'prefix',
                                     'same_origin'])

_TORCH = re.compile(r'(^|\.)(layer\d+\.\d+\.conv\d|conv1|fc)\.weight$')
_KERAS = re.compile(r'(^|/)(conv\d[^/]*_conv|res\d[^/]*|predictions|fc1000|conv1)/(kernel|depthwise_kernel|W)$')
_SLIM_LOGITS = re.compile(r'(^|/)(logits/(weights|biases)|(predictions|fc1000|probs|output/dense)/(kernel|bias|W|b))$')
_TORCH_LOGITS = re.compile(r'(^|\.)fc\.(weight|bias)$')
_ROOT = re.compile(r'^(.*?)(conv1|conv1_1)/weights$')


def origin_of(names):
    """'torch', 'keras', one of `nvidia_names.ORIGINS`, or 'slim': whose names a file has."""
    for origin, pattern in (('torch', _TORCH), ('keras', _KERAS)):
        if any(pattern.search(name) for name in names):
            return origin
    found = nvidia_names.find(names)
    return found.origin if found else 'slim'


def split_slots(names):
    """Parts names into those of variables, and those of what training keeps beside variables.

    Args:
        names: Names in a file.

    Returns:
        Three lists: names of variables, of their moving averages, and of slots of an optimizer. An average without its
        variable counts as a variable.
    """
    held, plain, averages, slots = set(names), [], [], []
    for name in names:
        parent, _, last = name.rpartition('/')
        if parent in held:
            (averages if '/' + last == AVERAGE_SUFFIX else slots).append(name)
        else:
            plain.append(name)
    return plain, averages, slots


def num_classes_of(shapes):
    """Number of logits of a file, or None if it has none; `shapes` is a dict from name to shape."""
    for name, shape in shapes.items():
        name = _without_average(name)
        if shape and _SLIM_LOGITS.search(name):
            return shape[-1]
        if shape and _TORCH_LOGITS.search(name):
            return shape[0]
    return None


def rank(shapes, num_classes=None):
    """Compares a file with every network.

    Args:
        shapes: Dict from name in the file to shape.
        num_classes: Number of logits to compare with; None for those of the file.

    Returns:
        A list of `Fit`, the best first.
    """
    fits = [fit(shapes, name, num_classes) for name in nets_factory.NETWORKS if tables.has_table(name)]
    return sorted(fits, key=lambda one: (len(one.missing) + len(one.misshaped) + len(one.unexpected),
                                         not one.same_origin))


def fit(shapes, network, num_classes=None):
    """Compares a file with one network.

    Args:
        shapes: Dict from name in the file to shape.
        network: Name of the network.
        num_classes: Number of logits to compare with; None for those of the file.

    Returns:
        A `Fit`.
    """
    num_classes = num_classes_of(shapes) if num_classes is None else num_classes
    table = tables.variables(network, num_classes)
    scope = tables.scope(network)
    ours = {name[len(scope) + 1:]: shape for name, shape in table.items()}
    origin = origin_of(shapes)
    if origin == 'slim':
        fits = [_compare(network, ours, scope, _below(shapes, prefix), prefix, _is_scope(prefix, scope))
                for prefix in _prefixes(shapes)]
    else:
        held = (_from_keras(shapes, network) if origin == 'keras' else
                _from_torch(shapes) if origin == 'torch' else _from_nvidia(shapes))
        own = origins.origin_of(network)
        fits = [_compare(network, ours, scope, held, '', bool(own) and own.name == origin and not own.folds)]
    return max(fits, key=lambda one: (one.matched, one.same_origin))


def _compare(network, ours, scope, held, prefix, same_origin):
    """A `Fit` from our shapes and those of a file, a dict from our name (or the file's) to (name in it, shape)."""
    missing = [name for name in ours if name not in held]
    misshaped = [(scope + '/' + name, held[name][1], shape) for name, shape in ours.items()
                 if name in held and tuple(held[name][1]) != shape]
    unexpected = [theirs for name, (theirs, _) in held.items() if name not in ours]
    return Fit(network, len(ours) - len(missing) - len(misshaped), [scope + '/' + name for name in missing], misshaped,
               unexpected, prefix, same_origin)


def _prefixes(shapes):
    """What may come before a network's names: what does before those of a first convolution."""
    found = [match.group(1) for match in map(_ROOT.match, map(_without_average, shapes))
             if match and 'block' not in match.group(1)]
    return sorted(set(found)) or ['']


def _is_scope(prefix, scope):
    return ('/' + prefix).endswith('/' + scope + '/')


def _below(shapes, prefix):
    """The names below a prefix, without what training keeps beside variables."""
    plain, _, _ = split_slots([name for name in shapes if name.startswith(prefix)])
    return {_without_average(name)[len(prefix):]: (name, shapes[name]) for name in plain
            if prefix or name not in ('global_step', 'beta1_power', 'beta2_power')}


def _without_average(name):
    return name[:-len(AVERAGE_SUFFIX)] if name.endswith(AVERAGE_SUFFIX) else name


def _from_torch(shapes):
    """Torch's names and axes as ours; names of none of the networks stay."""
    unit, held = torch_names.unit_of(shapes), {}
    for name, shape in shapes.items():
        if name.endswith('num_batches_tracked'):
            continue
        if len(shape) == 4:
            shape = shape[2:] + shape[1::-1]
        elif name == 'fc.weight' and len(shape) == 2:
            shape = (1, 1) + shape[::-1]
        held[_or_itself(torch_names.slim_name, name, unit)] = (name, shape)
    return held


def _from_keras(shapes, network):
    """The names and axes of Keras as ours; names of none of the networks stay."""
    try:
        kind = keras_names.kind_of(network)
    except ValueError:
        unit = 'bottleneck_v2' if network.startswith('resnet_v2_') else 'bottleneck_v1'
        kind = keras_names.Kind(unit, any(name.endswith('depthwise_kernel') for name in shapes))
    held = {}
    for name, shape in shapes.items():
        ours = keras_names.slim_name(name, kind) or name
        if ours == 'logits/weights':
            shape = (1, 1) + tuple(shape)
        elif kind.grouped and ours.endswith('/conv2/weights'):
            shape = shape[:2] + shape[:1:-1]
        held[ours] = (name, shape)
    return held


def _from_nvidia(shapes):
    """NVIDIA's names and axes as ours, without what training keeps; names of none of the networks stay."""
    origin, scope = nvidia_names.find(shapes)
    held = {}
    for name in nvidia_names.split(shapes, scope)[0]:
        ours = nvidia_names.slim_name(name[len(scope):], origin) or name
        dense = ours.endswith('/weights') and len(shapes[name]) == 2
        held[ours] = (name, (1, 1) + tuple(shapes[name]) if dense else shapes[name])
    return held


def _or_itself(fn, name, *args):
    try:
        return fn(name, *args)
    except ValueError:
        return name
