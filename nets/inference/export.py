"""Networks with their weights as files for other programs, each of which is run and compared before it is kept."""

import functools
import os
import shutil

import numpy as np
import tensorflow.compat.v1 as tf

from nets.checkpoints import preset_file
from nets.inference import fold, weights
from nets.inference.formats import frozen_graph, onnx_file, saved_model, tflite

# Format -> its module, and how a path ends that means it.
FORMATS = {'saved_model': (saved_model, ''), 'frozen_graph': (frozen_graph, '.pb'), 'onnx': (onnx_file, '.onnx'),
           'tflite': (tflite, '.tflite')}
# The largest difference between an export and a plain session, over the largest value of an end point.
TOLERANCE = 1e-4


def export(network, checkpoint, path, file_format=None, end_points=None, num_classes=None, image_size=None,
           preprocessing=None, dynamic_size=False, force=False, moving_averages=False, tolerance=TOLERANCE, renames=(),
           **kwargs):
    """Writes a network for another program, runs what was written, and keeps it if it computes what it should.

    Args:
        network: Name of the network; None for that of the preset beside the checkpoint.
        checkpoint: A checkpoint's prefix, one of its files, or a directory.
        path: Where to.
        file_format: A key of `FORMATS`; None for the one that the path's ending means.
        end_points: Names of end points; None for `predictions`, or `global_pool` where the checkpoint has no logits,
            or the last one where there is no global pool.
        num_classes: Number of logits; None for that of the checkpoint.
        image_size: Int, in pixels; None for the preset's.
        preprocessing: Name; None for the preset's.
        dynamic_size: Whether images of all sizes are taken; dense networks (`global_pool=False`) always do.
        force: Whether to replace what is at the path.
        moving_averages: Whether to read the averages of the weights.
        tolerance: The largest relative error.
        renames: Scopes that the checkpoint has under other names; see `restore.restore_fn`.
        **kwargs: Other arguments of the network, such as `global_pool` and `output_stride`.

    Returns:
        A dict: `path`, `format`, `size` in bytes, `error` (the largest relative one), `inputs` and `outputs` (dicts
        from what it is to its name in the file), and what the format adds.

    Raises:
        ValueError: If an argument cannot be, the checkpoint does not fit, or the export computes something else; then
            nothing is written.
        ImportError: If the format's packages are not installed.
    """
    path = os.path.normpath(path)
    file_format = _format_of(path, file_format)
    _check_free(path, force)
    if file_format == 'onnx':
        onnx_file.require()
    found = weights.find(network, checkpoint, image_size, preprocessing, num_classes)
    preset = found.preset
    size = None if dynamic_size or not kwargs.get('global_pool', True) else preset.image_size
    if not kwargs.get('global_pool', True):
        kwargs.setdefault('spatial_squeeze', False)
    batches = _batches(preset, size)

    def build(wanted):
        return fold.fold_and_run(found.network, found.checkpoint, wanted, preset.num_classes, (None, size, size, 3),
                                 batches, moving_averages, renames, **kwargs)

    check = functools.partial(_write_and_compare, FORMATS[file_format][0], path, preset, tolerance)
    temporary = f'{path}.{os.getpid()}.tmp'
    try:
        folded, plain = build(end_points or _last)
        errors = []
        if _saturated(plain):  # equal whatever came before, so the logits have to show it
            errors.append(check(temporary, *build(_logits))[0])
            _remove(temporary)
        error, details = check(temporary, folded, plain)
        _publish(temporary, path)
    except (OSError, tf.errors.OpError) as reason:  # such as a full disk
        text = getattr(reason, 'strerror', None) or getattr(reason, 'message', None) or reason
        raise ValueError(f'{path} cannot be written to: {text}.') from reason
    finally:
        _remove(temporary)
    error = max(errors + [error])
    return dict({'path': path, 'format': file_format, 'network': found.network, 'size': size_of(path), 'error': error,
                 'inputs': {'images': folded.images}, 'outputs': _names(folded, file_format)}, **details)


def largest_error(pairs):
    """The largest difference over the largest value of an end point, of all pairs of dicts of arrays; may be NaN."""
    errors = []
    for actual, expected in pairs:
        for name, value in expected.items():
            if actual[name].shape != value.shape:
                return float('inf')
            scale = np.abs(value).max()
            errors.append(np.abs(actual[name] - value).max() / (scale if scale > 0 else 1.))
    return float(np.max(errors))


def size_of(path):
    """Bytes of a file, or of all files of a directory."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, file)) for folder, _, files in os.walk(path) for file in files)


def _format_of(path, file_format):
    """The format that is wanted, by name or by the path's ending."""
    ending = os.path.splitext(path)[1]
    if file_format is None:
        for name, (_, its) in FORMATS.items():
            if its == ending:
                return name
        raise ValueError(f'The path {path} must end in .pb, .onnx or .tflite, or in nothing for the directory of a '
                         f'SavedModel; or name the format: {", ".join(FORMATS)}.')
    if file_format not in FORMATS:
        raise ValueError(f'The format must be one of {", ".join(FORMATS)}; got {file_format!r}.')
    return file_format


def _check_free(path, force):
    """Raises unless something may be written to the path."""
    folder = os.path.dirname(path) or '.'
    if not os.path.isdir(folder):
        raise ValueError(f'The directory {folder} does not exist; make it first.')
    if os.path.lexists(path):
        if not force:
            raise ValueError(f'{path} exists; --force replaces it.')
        saved = os.path.exists(os.path.join(path, 'saved_model.pb'))
        if os.path.isdir(path) and os.listdir(path) and not saved:
            raise ValueError(f'{path} is a directory that holds something other than a SavedModel; it is not replaced.')


def _batches(preset, size):
    """Images to compare with, of noise: one, and three; of another size, too, where any is taken."""
    rng, sizes = np.random.RandomState(0), [preset.image_size] * 2
    shapes = list(zip(sizes, sizes)) if size else [(preset.image_size,) * 2, (sizes[0] + 1, sizes[0] + 16)]
    preprocess = preset_file.preprocess_fn(preset)
    with tf.Graph().as_default(), tf.Session(config=tf.ConfigProto(device_count={'GPU': 0})) as session:
        # Sizes are for the preprocessing to choose; here the images have them already, and only the colours change.
        batches = []
        for count, (height, width) in zip((1, 3), shapes):
            noise = rng.randint(0, 256, [count, preset.image_size, preset.image_size, 3]).astype(np.uint8)
            images = session.run(tf.stack([preprocess(one, preset.image_size, preset.image_size)
                                           for one in tf.unstack(tf.constant(noise))]))
            batches.append(np.pad(images, [[0, 0], [0, height - images.shape[1]], [0, width - images.shape[2]], [0, 0]],
                                  mode='reflect'))
    return batches


def _write_and_compare(module, path, preset, tolerance, temporary, folded, plain):
    """Writes an export and runs it.

    Returns:
        The largest relative error, and what the format says of the file.

    Raises:
        ValueError: If the error is more than the tolerance, or not a number.
    """
    details = module.write(folded, temporary, preset)
    with module.load(temporary, folded) as run:
        error = largest_error([(run(images), expected) for images, expected in plain])
    if not error <= tolerance:  # neither is NaN
        raise ValueError(f'The export to {path} differs from the network by {error:.2g} of the largest value, more '
                         f'than the {tolerance:.2g} that are allowed; nothing was written.')
    return error, details


def _saturated(plain):
    """Whether all that is wanted are probabilities, and all are 0 or 1."""
    return all(set(expected) == {'predictions'} and (expected['predictions'].max(-1) > 1 - 1e-6).all()
               for _, expected in plain)


def _logits(known):
    return [name for name in known if name.endswith('/logits')]


def _last(known):
    """The end points that are wanted unless they are named."""
    for name in ('predictions', 'global_pool'):
        if name in known:
            return [name]
    return [list(known)[-1]]


def _names(folded, file_format):
    """Names of the results in the file."""
    by_end_point = file_format in ('onnx', 'saved_model')
    return {name: name if by_end_point else operation for name, operation in folded.end_points.items()}


def _publish(temporary, path):
    """Puts what was written in its place; what was there goes only then."""
    if os.path.isdir(path) or (os.path.lexists(path) and os.path.isdir(temporary)):
        aside = temporary + '.old'
        os.rename(path, aside)
        try:
            os.rename(temporary, path)
        except OSError:
            os.rename(aside, path)
            raise
        _remove(aside)
    else:
        os.replace(temporary, path)


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)
