"""Converts weights of Keras Applications, torchvision, timm and NVIDIA into checkpoints of ours, and back to the first.

    convert.convert('resnet50.pth', 'resnet_v15_50.ckpt', 'resnet_v15_50')
    convert.convert('resnet_v15_50.ckpt', 'resnet50.safetensors', 'resnet_v15_50')
    convert.convert('model.ckpt-450000', 'resnet_nvidia_50.ckpt', 'resnet_nvidia_50')

What is written is a checkpoint in the V2 format, unless the destination ends in `.weights.h5` (Keras) or `.safetensors`
(torchvision, timm), with its preset beside it. Everything is compared before anything is written, and nothing appears
at the destination before it is whole.
"""

import collections
import os

import numpy as np
import tensorflow.compat.v1 as tf

from nets import nets_factory
from nets.checkpoints import (
    built,
    formats,
    keras_names,
    mismatch,
    nvidia_names,
    nvidia_source,
    origins,
    preset_file,
    restore,
    tables,
    whole_files,
)
from nets.checkpoints import renames as renaming
from nets.checkpoints import verify as verification
from nets.checkpoints.writers import checkpoint, keras_file, safetensors_file

SOURCES = ('keras', 'torchvision', 'timm', 'nvidia', 'slim')
_ENDINGS = {'.weights.h5': 'keras', '.safetensors': 'torch'}
_NOT_WRITTEN = ('.h5', '.hdf5', '.keras', '.pth', '.pt', '.bin', '.npz', '.npy')
_FOLDED = ('Keras\' epsilon is 1.001e-5 and this network\'s 1e-5: batch_norm_epsilon=1.001e-5 in the arg scope gives '
           'Keras\' own. The pool is padded as Keras\' only where height and width are a multiple of 4 plus 1, such as '
           '225: elsewhere features differ by about a pixel. resnet_keras_* is Keras\' function at all sizes.')
_TIMM = ('timm\'s weights differ in resize_side, interpolation and size, which their files do not say; compare the '
         'preset with timm.data.resolve_model_data_config and set what differs.')

# What is to be written: kind: 'slim', 'keras' or 'torch'. arrays: by the names that are written. origin: an
# `origins.Origin`, or None from ours to ours. notes: texts. changed: names of arrays that were no float32. theirs: what
# was read of a source that is not ours.
_Plan = collections.namedtuple('_Plan', [
    'kind', 'arrays', 'step', 'num_classes', 'origin', 'notes', 'changed', 'theirs'])


def convert(source, destination, network=None, source_kind=None, overwrite=False, ema=False, moving_averages=False,
            class_names=None, preset_changes=None, verify=False, renames=()):
    """Converts a file of weights.

    Args:
        source: Anything that `formats.open_weights` opens.
        destination: The prefix of a checkpoint, or a file that ends in `.weights.h5` or `.safetensors`.
        network: A name of `nets_factory.NETWORKS`; None only for a copy of a checkpoint as it is into the V2 format.
        source_kind: One of `SOURCES`; None to tell by the file. It says what the preset is, not what the format is.
        overwrite: Whether to replace what is at the destination.
        ema: Whether to take the moving averages of a file of torch.
        moving_averages: Whether to take the moving averages of a checkpoint of ours.
        class_names: Names of the classes, in the order of the logits, or None.
        preset_changes: Dict of values of the preset other than the origin's; see `preset_file.of_network`.
        verify: Whether to run both sides on random images and compare; see `nets.checkpoints.verify`.
        renames: Scopes that a checkpoint of ours has under other names, as of `restore.restore_fn`.

    Returns:
        A dict: `source`, `source_format`, `destination`, `network`, `num_variables`, `num_classes`, `converted` (names
        of arrays that were no float32), `preset` (a path), `notes`, and `verification` if asked for.

    Raises:
        ValueError: The source cannot be read or does not fit (the message lists everything that differs), the
            destination is taken, or the verification failed. Nothing was written then.
    """
    if network is not None and network not in nets_factory.NETWORKS:
        nets_factory.get_network_fn(network, None)  # says which there are
    source, destination = os.fspath(source), whole_files.destination_of(os.fspath(destination))
    target = _target(destination)
    whole_files.check_free(destination, overwrite)
    with formats.open_weights(source, **({'ema': True} if ema else {})) as weights:
        kind = _source_kind(weights, source_kind)
        plan = _plan(weights, kind, target, network, moving_averages, renames)
    preset = _preset(weights.path, kind, network, plan, class_names, preset_changes or {})
    result = {'source': source, 'source_format': weights.format, 'destination': destination, 'network': network,
              'num_variables': len(plan.arrays), 'num_classes': plan.num_classes, 'converted': plan.changed,
              'preset': None, 'notes': plan.notes + [_TIMM] * (source_kind == 'timm')}
    with whole_files.aside(destination) as written:
        _write(written, plan)
        if preset is not None:
            preset_file.write(written, preset)
            result['preset'] = preset_file.path_of(destination)
        if verify:
            result['verification'] = _verify(weights.path, written, network, plan, moving_averages, renames)
    return result


def _target(destination):
    """What a destination asks for: 'slim', 'keras' or 'torch'."""
    for ending, kind in _ENDINGS.items():
        if destination.endswith(ending):
            return kind
    if destination.endswith(_NOT_WRITTEN):
        raise ValueError(f'{destination}: files of this kind are not written. Keras loads .weights.h5, torchvision and '
                         'timm .safetensors; a checkpoint of TensorFlow has any other ending, such as .ckpt.')
    return 'slim'


def _source_kind(weights, given):
    """What a source is: 'slim', 'keras', 'torch' or one of `nvidia_names.ORIGINS`."""
    if given is not None and given not in SOURCES:
        raise ValueError(f'The kind of a source must be one of {", ".join(SOURCES)}; got {given!r}.')
    name = weights.format.lower()
    found = next((kind for word, kind in (('keras', 'keras'), ('torch', 'torch'), ('safetensors', 'torch'),
                                          ('tensorflow', 'slim'), ('savedmodel', 'slim')) if word in name), None)
    if found == 'slim' and given != 'slim':
        found = (nvidia_names.find(weights.shapes) or ('slim',))[0]
    wanted = {'torchvision': ['torch'], 'timm': ['torch'], 'nvidia': nvidia_names.ORIGINS}.get(given, [given])
    if found is None or (given and found not in wanted):
        raise ValueError(f'{weights.path} is {_described(weights, found)}; weights of {given or "any origin"} are not '
                         'converted from that. What is: checkpoints of TensorFlow (slim, and nvidia with names such as '
                         'btlnck_block_0_0), files of Keras (keras), and .pth, .pt and .safetensors (torchvision, '
                         'timm).')
    return found


def _described(weights, kind):
    return weights.format + (" with NVIDIA's names" if kind in nvidia_names.ORIGINS else '')


def _plan(weights, kind, target, network, moving_averages, renames):
    """Reads, maps and compares; everything that can be wrong with the weights is found here."""
    if moving_averages and kind != 'slim':
        raise ValueError(f'moving_averages is about checkpoints of ours; {weights.path} is '
                         f'{_described(weights, kind)}. The averages of a file of torch are asked for by ema.')
    if renames and kind != 'slim':
        raise ValueError(f'renames are about scopes of checkpoints of ours; {weights.path} is '
                         f'{_described(weights, kind)}.')
    if kind == 'slim' and target == 'slim' and not moving_averages:
        return _copied(weights, network, renames)
    if network is None:
        raise ValueError('The network must be named, such as resnet_v15_50, unless a checkpoint is copied as it is; '
                         f'{weights.path} is {_described(weights, kind)}.')
    if kind == 'slim':
        return _from_slim(weights, target, network, moving_averages, renames)
    if target != 'slim':
        raise ValueError(f'{weights.path} is {_described(weights, kind)}; convert it to a checkpoint first, and that '
                         'to the destination.')
    return _to_slim(weights, origins.check_origin(network, kind), network)


def _to_slim(weights, origin, network):
    """From Keras, torch or NVIDIA."""
    of_nvidia = origin.name in nvidia_names.ORIGINS
    arrays, notes = nvidia_source.read(weights) if of_nvidia else (
        {name: weights.read(name) for name in weights.shapes}, [_FOLDED] * origin.folds)
    fit = origins.Fit(arrays, origin)
    scope = tables.scope(network)
    expected = {name[len(scope) + 1:]: shape for name, shape in tables.variables(network, fit.num_classes()).items()}
    source_expected = dict(expected, **_biases(expected)) if origin.folds else expected
    fit.check(source_expected, weights.path, network)
    variables = keras_names.fold_biases(fit.variables) if origin.folds else fit.variables
    return _Plan('slim', {f'{scope}/{name}': variables[name] for name in expected},
                 0 if of_nvidia else weights.step or 0, fit.num_classes(), origin, notes, fit.converted, arrays)


def _from_slim(weights, target, network, moving_averages, renames):
    """From a checkpoint of ours to Keras or torch, or to a checkpoint of the averages."""
    origin = None if target == 'slim' else origins.check_origin(network, target)
    num_classes = _num_classes(weights)
    with built.network(network, num_classes) as graph:
        load = restore.restore_fn(weights.path, list(graph.variables.values()), moving_averages=moving_averages,
                                  renames=renames, user=mismatch.COMMANDS)
        with tf.Session(config=built.CPU_ONLY) as session:
            load(session)
            variables = session.run(graph.variables)
    if origin is None:
        arrays = {f'{graph.scope}/{name}': array for name, array in variables.items()}
        return _Plan(target, arrays, weights.step or 0, num_classes, None, [], [], None)
    if origin.folds:
        biases = _biases({name: array.shape for name, array in variables.items()})
        variables.update((name, np.zeros(shape, np.float32)) for name, shape in biases.items())
    arrays = origins.to_origin(variables, origin)
    return _Plan(target, arrays, 0, num_classes, origin, [_FOLDED] * origin.folds, [], None)


def _copied(weights, network, renames):
    """All of a checkpoint as it is, but for renamed scopes; compared with the network, if there is one."""
    num_classes = _num_classes(weights)
    if network is not None:
        with built.network(network, num_classes) as graph:
            restore.restore_fn(weights.path, list(graph.variables.values()), renames=renames, user=mismatch.COMMANDS)
    sources = renaming.apply(renaming.parse(renames), weights.shapes)
    arrays = collections.OrderedDict((name, weights.read(source)) for name, source in sources.items())
    hidden = sorted(set(weights.shapes) - set(sources.values()))
    notes = [f'{len(hidden)} arrays are left out, as renamed ones take their names: {", ".join(hidden[:20])}.']
    return _Plan('slim', arrays, weights.step or 0, num_classes, None, notes if hidden else [], [], None)


def _biases(expected):
    """Shapes of the biases that Keras' convolutions have before a batch normalisation, by our names."""
    ending = '/BatchNorm/moving_mean'
    return {name[:-len(ending)] + '/biases': shape for name, shape in expected.items() if name.endswith(ending)}


def _num_classes(weights):
    """The number of logits in a checkpoint of ours; 0 if there are none."""
    shapes = [shape for name, (shape, _) in weights.shapes.items() if ('/' + name).endswith('/logits/weights')]
    return shapes[0][-1] if shapes else 0


def _preset(source, kind, network, plan, class_names, changes):
    """The preset of what is written: that of the source, or else its origin's, with what is to be changed."""
    beside = preset_file.path_of(source)
    if kind == 'slim':
        preset = preset_file.read(source)
    else:
        preset = preset_file.read_file(beside) if os.path.exists(beside) else None
    if network is None:
        if changes or class_names:
            raise ValueError('The network must be named for a change of the preset or for names of the classes.')
        return preset
    settings = {'preprocessing': 'caffe'} if plan.origin and plan.origin.folds and kind == 'keras' else (
        nvidia_source.preset_of(kind))
    if changes.get('preprocessing') not in (None, settings.get('preprocessing')):
        settings = {}
    if preset is not None:
        same = changes.get('preprocessing', preset.preprocessing) == preset.preprocessing
        settings = dict(preset.options if same else {}, image_size=preset.image_size,
                        preprocessing=preset.preprocessing, label_offset=preset.label_offset)
        if class_names is None and preset.num_classes == plan.num_classes:
            class_names = preset.class_names
    return preset_file.of_network(network, plan.num_classes, class_names, **dict(settings, **changes))


def _write(path, plan):
    if plan.kind == 'slim':
        checkpoint.write(path, plan.arrays, plan.step)
    elif plan.kind == 'keras':
        keras_file.write(path, plan.arrays)
    else:
        safetensors_file.write(path, plan.arrays, {'format': 'pt'})


def _verify(source, written, network, plan, moving_averages, renames):
    """Runs both sides; from ours to ours, compares every number."""
    if plan.origin is None:
        return verification.compare_arrays(written, plan.arrays)
    if plan.kind == 'slim':
        return verification.verify(network, written, plan.num_classes, plan.origin, source, plan.theirs)
    with formats.open_weights(written) as weights:
        theirs = {name: weights.read(name) for name in weights.shapes}
    return verification.verify(network, source, plan.num_classes, plan.origin, written, theirs, moving_averages,
                               renames)
