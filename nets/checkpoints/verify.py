"""Proves a conversion: runs the origin's network and ours on random images, and compares every unit."""

import numpy as np
import tensorflow.compat.v1 as tf

from nets import nets_factory
from nets.checkpoints import (
    built,
    formats,
    keras_forward,
    nvidia_forward,
    nvidia_names,
    origins,
    restore,
    torch_forward,
)

# Height and width: odd and even, square and not. A pool that is padded otherwise differs by 1 at even sizes, and not at
# all at sizes of a multiple of 4 plus 1, which are those where slim's own networks compute what Keras' do.
SIZES = ((65, 65), (64, 64), (67, 96), (49, 81))
_KERAS_EPSILON = 1.001e-5
# The largest difference over the root mean square of the tensor. Right conversions of random weights are off by up to
# 1e-5 (float32 rounds otherwise in another library), wrong ones by more than 0.01.
LIMIT = 1e-4
# By the name of an origin: what it calls unit `unit` of block `block`, and the logits.
_NAMES = dict({'torch': ('layer{block}.{before}', 'fc'), 'keras': ('conv{after}_block{unit}_out', 'predictions')},
              **dict.fromkeys(nvidia_names.ORIGINS, ('{block}.{unit}', 'logits')))


def verify(network, checkpoint, num_classes, origin, path, arrays, moving_averages=False, renames=()):
    """Compares the end points of a network of ours with what its origin's computes.

    Args:
        network: A name of `nets_factory.NETWORKS`.
        checkpoint: The checkpoint of ours.
        num_classes: Number of logits; 0 for none.
        origin: The network's `origins.Origin`.
        path: The file of the origin.
        arrays: What is in that file.
        moving_averages: Whether ours are the averages in the checkpoint.
        renames: Of the checkpoint's scopes; see `restore.restore_fn`.

    Returns:
        A dict: `limit`, `worst`, `end_points` (from end point to the largest error at the sizes where both are the same
        function), `sizes` (from size, as '65x64', to the largest error there), `judged` (the sizes that count), and
        `with`, the library that ran the origin's network.

    Raises:
        ValueError: An error is above the limit; the message lists where.
        ImportError: The library that runs the origin's network is not installed.
    """
    run_theirs, library = _runner(network, num_classes, origin, path, arrays)
    pairs = _pairs(network, num_classes, origin)
    judged = [size for size in SIZES if not origin.folds or (size[0] % 4 == size[1] % 4 == 1)]
    epsilon = {'batch_norm_epsilon': _KERAS_EPSILON} if origin.folds else {}
    errors, sizes = dict.fromkeys((ours for ours, _ in pairs), 0.0), {}
    with built.network(network, num_classes, **epsilon) as graph, tf.Session(config=built.CPU_ONLY) as session:
        restore.restore_fn(checkpoint, list(graph.variables.values()), moving_averages=moving_averages,
                           renames=renames)(session)
        fetches = {ours: graph.end_points[_end_point(graph.scope, ours)] for ours, _ in pairs}
        for size in SIZES:
            images = np.random.default_rng(size).normal(0, 1, (1,) + size + (3,)).astype(np.float32)
            actual, expected = session.run(fetches, {graph.images: images}), run_theirs(images)
            here = {ours: _error(actual[ours], expected[theirs]) for ours, theirs in pairs}
            sizes['{}x{}'.format(*size)] = max(here.values(), key=_order)
            if size in judged:
                errors = {ours: max(errors[ours], here[ours], key=_order) for ours in errors}
    _check(errors, network, path, library)
    return {'limit': LIMIT, 'worst': max(errors.values()), 'end_points': errors, 'sizes': sizes,
            'judged': ['{}x{}'.format(*size) for size in judged], 'with': library}


def compare_arrays(path, arrays):
    """Compares a checkpoint with what was to be written, bit by bit.

    Args:
        path: Its prefix.
        arrays: Dict from name to array.

    Returns:
        A dict: `equal`, the number of arrays.

    Raises:
        ValueError: Something is missing or differs; the message lists it.
    """
    with formats.open_weights(path) as weights:
        differing = [name for name, array in arrays.items() if name not in weights.shapes or
                     weights.read(name).tobytes() != np.asarray(array).tobytes()]
    if differing:
        raise ValueError(f'{len(differing)} arrays differ from what was to be written: {", ".join(differing[:20])}.')
    return {'equal': len(arrays)}


def _runner(network, num_classes, origin, path, arrays):
    """A function of images that gives the results of the origin's network by name, and the library's name."""
    if origin.name == 'torch':
        layout = nets_factory.NETWORKS[network].builder.layout
        return (lambda images: torch_forward.run(arrays, layout.num_units, layout.cardinality, images)), 'torch'
    if origin.name in nvidia_names.ORIGINS:
        return (lambda images: nvidia_forward.run(arrays, origin.name == 'nvidia', images)), 'NumPy'
    fit = origins.Fit(arrays, origin)
    model = keras_forward.Model(network, num_classes, path, origins.to_origin(fit.variables, origin))
    layers = [theirs for _, theirs in _pairs(network, num_classes, origin) if theirs != 'pool']
    last = _features_of(origin, layers)

    def run(images):
        results = model.run(images, layers + [last] * (last not in layers))
        return dict(results, pool=results[last].mean((1, 2)))

    return run, f'keras, weights loaded by {model.loaded_by}'


def _features_of(origin, layers):
    """Keras' layer of the features: the last unit, or what normalises it."""
    return 'post_relu' if origin.unit == 'bottleneck_v2' else [name for name in layers if name.endswith('_out')][-1]


def _pairs(network, num_classes, origin):
    """Our end points below the scope, and the origin's names."""
    theirs, logits = _NAMES[origin.name]
    pairs = [(f'block{block}/unit_{unit}/{origin.unit}',
              theirs.format(block=block, after=block + 1, unit=unit, before=unit - 1))
             for block, num_units in enumerate(nets_factory.NETWORKS[network].builder.layout.num_units, 1)
             for unit in range(1, num_units + 1)]
    return pairs + [('global_pool', 'pool')] + ([('spatial_squeeze', logits)] if num_classes else [])


def _end_point(scope, name):
    return name if name == 'global_pool' else f'{scope}/{name}'


def _error(actual, expected):
    """The largest difference over the root mean square of what is expected; not a number if either holds such."""
    if actual.ndim == 4 and actual.shape[1:3] == (1, 1) and expected.ndim == 2:
        actual = actual[:, 0, 0]
    if actual.ndim == 4 and actual.shape != expected.shape:  # slim's stride is in the last unit of a block
        expected = expected[:, ::2, ::2]
    if actual.shape != expected.shape:
        return float('inf')
    difference = np.abs(actual.astype(np.float64) - expected).max()
    scale = np.sqrt(np.mean(np.square(expected, dtype=np.float64)))
    return float(difference / scale) if scale else float(difference)


def _order(error):
    """Sorts what is not a number as the worst."""
    return float('inf') if error != error else error


def _check(errors, network, path, library):
    failed = sorted((name for name in errors if not errors[name] <= LIMIT), key=list(errors).index)
    if failed:
        listed = ', '.join(f'{name} ({errors[name]:.1e})' for name in failed[:20])
        raise ValueError(f'The verification failed, nothing was written: {network} and {path} ({library}) differ by '
                         f'more than {LIMIT} at {len(failed)} of {len(errors)} end points: {listed}.')
