"""The names and arrays of NVIDIA's residual networks for TensorFlow 1, and those of ours; nothing but NumPy.

Source: github.com/NVIDIA/DeepLearningExamples, TensorFlow/Classification: ConvNets/model for 'nvidia', RN50v1.5/model
for 'nvidia_2019'; TensorFlow2/Segmentation/MaskRCNN/mrcnn_tf2/runtime/weights_mapping.py lists the names in a published
checkpoint. Layers have the names that `tf.layers` and `tf.contrib.layers` give by themselves; ResNeXt's grouped kernels
are variables of their own. Kernels are `[height, width, channels / groups, filters]`, as ours, in whatever layout the
images were. The newer networks count blocks and units from 0, the older one from 1, and in its third block from 2.

    origin, scope = find(names)                                       # 'nvidia', 'resnet50/'
    slim_name('btlnck_block_1_0/bottleneck_2/conv2d/kernel', origin)  # 'block2/unit_1/bottleneck_v1/conv2/weights'
"""

import collections
import re

import numpy as np

ORIGINS = ('nvidia', 'nvidia_2019')
_FIRST_BLOCK = {'nvidia': 0, 'nvidia_2019': 1}
# Which of the ORIGINS names are of, and what comes before them, with a slash at its end.
Found = collections.namedtuple('Found', ['origin', 'scope'])

_KERNEL = {'kernel': 'weights'}
_DENSE = {'kernel': 'weights', 'bias': 'biases'}
_BATCH_NORM = {name: name for name in ('gamma', 'beta', 'moving_mean', 'moving_variance')}


def _names(convs, dense):
    """From NVIDIA's names to ours: `convs` and `dense` are pairs of NVIDIA's scope and ours."""
    layers = [(theirs + '/conv2d', ours, _KERNEL) for theirs, ours in convs]
    layers += [(theirs + '/BatchNorm', ours + '/BatchNorm', _BATCH_NORM) for theirs, ours in convs]
    layers += [(theirs, ours, _DENSE) for theirs, ours in dense]
    return {f'{theirs}/{a}': f'{ours}/{b}' for theirs, ours, weights in layers for a, b in weights.items()}


_GROUPED = {'bottleneck_2/bottleneck_2group_filter': 'conv2/weights'}
_OUTSIDE = _names([('conv2d', 'conv1')], [('output/dense', 'logits')])
_INSIDE = _names([('shortcut/conv2d', 'shortcut'), ('bottleneck_1', 'conv1'), ('bottleneck_2', 'conv2'),
                  ('bottleneck_3', 'conv3')],
                 [('bottleneck_se_layer/dense', 'se/reduce'), ('bottleneck_se_layer/dense_1', 'se/expand')])
_OUTSIDE_BACK = {ours: theirs for theirs, ours in _OUTSIDE.items()}
_INSIDE_BACK = {ours: theirs for theirs, ours in _INSIDE.items()}
_GROUPED_BACK = {ours: theirs for theirs, ours in _GROUPED.items()}

_UNIT = re.compile(r'btlnck_block_(0|[1-9]\d*)_(0|[1-9]\d*)/(.+)')
_SLIM_UNIT = re.compile(r'block([1-9]\d*)/unit_([1-9]\d*)/bottleneck_v1/(.+)')
_SLOT = re.compile(r'.*/(?:kernel|bias|gamma|beta|bottleneck_2group_filter)/([^/]+)')
_SCOPE = re.compile(r'((?:[^/]+/)*?)btlnck_block_(\d+)_\d+/bottleneck_1/')
# What `tf.contrib.quantize` adds for quantisation-aware training, which NVIDIA's scripts offer.
_QUANTISED = re.compile(r'/(weights|act)_quant/')


def find(names):
    """Finds one of NVIDIA's networks among names.

    Args:
        names: Names in a checkpoint.

    Returns:
        A `Found`, of the outermost scope if there are several; None if there is none.
    """
    units = [match for match in map(_SCOPE.match, names) if match]
    if not units:
        return None
    scope = min((match.group(1) for match in units), key=lambda scope: (scope.count('/'), scope))
    newer = any(match.group(1) == scope and match.group(2) == '0' for match in units)
    return Found(ORIGINS[0] if newer else ORIGINS[1], scope)


def split(names, scope):
    """Parts the names of a checkpoint into those of a network and those of what else there is.

    Args:
        names: Names in a checkpoint.
        scope: What comes before the network's names, as in `Found`.

    Returns:
        Two lists: names in the scope, and names outside of it and of slots of an optimizer.
    """
    inside, others = [], []
    for name in names:
        (inside if '/' in name and name.startswith(scope) and not slot_of(name) else others).append(name)
    return inside, others


def slot_of(name):
    """The kind of a slot of an optimizer, such as 'Momentum'; None if a name is not of a slot."""
    match = _SLOT.fullmatch(name)
    return match and match.group(1)


def slim_name(name, origin):
    """Our name of one of NVIDIA's variables.

    Args:
        name: Name below the network's scope.
        origin: One of `ORIGINS`.

    Returns:
        The name below our network's scope; None if there is no such variable in any of the networks.
    """
    match = _UNIT.fullmatch(name)
    if not match:
        return _OUTSIDE.get(name)
    layer = _INSIDE.get(match.group(3)) or _GROUPED.get(match.group(3))
    block = int(match.group(1)) + 1 - _FIRST_BLOCK[origin]
    unit = int(match.group(2)) + 1 - _first_unit(origin, block)
    return f'block{block}/unit_{unit}/bottleneck_v1/{layer}' if layer and block > 0 and unit > 0 else None


def nvidia_name(name, origin, grouped=False):
    """NVIDIA's name of one of our variables; the inverse of `slim_name`.

    Args:
        name: Name below our network's scope.
        origin: One of `ORIGINS`.
        grouped: Whether the 3x3 convolutions have groups.

    Returns:
        The name below the network's scope.

    Raises:
        ValueError: NVIDIA's networks have no such variable.
    """
    match = _SLIM_UNIT.fullmatch(name)
    theirs = (_INSIDE_BACK if match else _OUTSIDE_BACK).get(match.group(3) if match else name)
    if not theirs:
        raise ValueError(f"NVIDIA's networks have no variable for {name!r}.")
    if not match:
        return theirs
    if grouped:
        theirs = _GROUPED_BACK.get(match.group(3), theirs)
    block, unit = int(match.group(1)), int(match.group(2))
    return f'btlnck_block_{block - 1 + _FIRST_BLOCK[origin]}_{unit - 1 + _first_unit(origin, block)}/{theirs}'


def to_slim(name, array):
    """One of NVIDIA's arrays in our shape.

    Args:
        name: Our name of it, as `slim_name` returns it.
        array: A kernel `[height, width, channels / groups, filters]`, a dense layer's `[channels, units]` or, for the
            logits, that of a 1x1 convolution in its place; or a vector.

    Returns:
        The same, but for a dense layer `[1, 1, channels, units]`.

    Raises:
        ValueError: The array has another rank.
    """
    array = np.asarray(array)
    kernel, dense = name.endswith('/weights'), name.startswith('logits/') or '/se/' in name
    ranks = ((2, 4) if name == 'logits/weights' else (2,) if dense else (4,)) if kernel else (1,)
    if array.ndim not in ranks:
        raise ValueError(f'{name} must have {" or ".join(map(str, ranks))} axes in NVIDIA\'s checkpoints; got an array '
                         f'of shape {list(array.shape)}.')
    return array[np.newaxis, np.newaxis] if array.ndim == 2 else array


def is_quantised(names):
    """Whether any of the names is of quantisation-aware training."""
    return any(_QUANTISED.search(name) for name in names)


def _first_unit(origin, block):
    """The number that the first unit of our `block` has in NVIDIA's names."""
    return 2 if (origin, block) == ('nvidia_2019', 3) else _FIRST_BLOCK[origin]
