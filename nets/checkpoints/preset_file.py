"""The preset of a checkpoint's weights: how its images were prepared and what its classes are, as JSON beside it.

The file of `dir/model.ckpt-5` is `dir/model.ckpt-5.preset.json`. Where that is not, `dir/preset.json` holds for all
checkpoints of a directory; training writes it. What the file says is what is used: a value that cannot be honoured is
an error.

    preset = preset_file.read('resnet_v15_50.ckpt') or preset_file.of_network('resnet_v15_50', num_classes=1000)
    image = preset_file.preprocess_fn(preset)(image, preset.image_size, preset.image_size)
"""

import collections
import functools
import json
import math
import os

import tensorflow.compat.v1 as tf

from nets import atomic_file, nets_factory
from nets.checkpoints import restore
from nets.data import preprocessing

SUFFIX = '.preset.json'
DIRECTORY_FILE = 'preset.json'
_COLOURS = ('means', 'deviations')
_NUMBERS = {'image_size': 1, 'label_offset': 0, 'num_classes': 0}  # and the least that they may be

# network: a name of `nets_factory`, or None. image_size: in pixels. preprocessing: a name of
# `nets.data.preprocessing`. options: those of its evaluation, all of them. label_offset: see `nets_factory.Preset`.
# num_classes: logits; 0 for none. class_names: a tuple of as many strings, or None.
Preset = collections.namedtuple('Preset', (
    'network', 'image_size', 'preprocessing', 'options', 'label_offset', 'num_classes', 'class_names'))


def of_network(network, num_classes, class_names=None, **changes):
    """The preset of a network's published weights, with all of its values.

    Args:
        network: A name of `nets_factory.NETWORKS`.
        num_classes: Number of logits; 0 for none.
        class_names: The classes' names, in the order of the logits, or None.
        **changes: Values other than the network's: `image_size`, `preprocessing`, `label_offset`, and options of the
            evaluation of its preprocessing, such as `resize_side`.

    Returns:
        A `Preset`.

    Raises:
        ValueError: A value cannot be honoured; the message says which can.
    """
    published = nets_factory.get_network_fn(network, num_classes or None).preset
    size = changes.pop('image_size', published.image_size)
    name = changes.pop('preprocessing', published.preprocessing)
    offset = changes.pop('label_offset', published.label_offset)
    _check_number('image_size', size)
    options = dict(preprocessing.get_options(name, False, size), **changes)
    return check(Preset(network, size, name, options, offset, num_classes, class_names and tuple(class_names)))


def check(preset):
    """Checks that every value of a preset can be honoured.

    Args:
        preset: A `Preset`.

    Returns:
        The preset.

    Raises:
        ValueError: A value cannot be; the message says what can.
    """
    for name in _NUMBERS:
        _check_number(name, getattr(preset, name))
    if preset.network is not None and not isinstance(preset.network, str):
        raise ValueError(f'network must be a name or null; got {preset.network!r}.')
    known = preprocessing.get_options(preset.preprocessing, False, preset.image_size)
    if set(preset.options) != set(known):
        differing = ', '.join(map(repr, sorted(set(preset.options) ^ set(known))))
        raise ValueError(f'The options of the preprocessing {preset.preprocessing!r} must be {", ".join(known)}; '
                         f'unknown or missing: {differing}.')
    if None in preset.options.values():
        raise ValueError(f'The options must have values; got {preset.options!r}.')
    for name in _COLOURS:
        _check_colour(name, preset.options.get(name, (1, 1, 1)))
    _check_class_names(preset)
    with tf.Graph().as_default():  # what the preprocessing itself refuses
        preprocess_fn(preset)(tf.zeros([8, 8, 3], tf.uint8), preset.image_size, preset.image_size)
    return preset


def resized(preset, size):
    """A preset for images of another size, whose short side before the crop, if it has one, keeps its proportion.

    Args:
        preset: A `Preset`.
        size: Int, in pixels.

    Returns:
        A `Preset`.
    """
    options = dict(preset.options)
    if 'resize_side' in options:
        options['resize_side'] = math.ceil(options['resize_side'] * size / preset.image_size)
    return check(preset._replace(image_size=size, options=options))


def preprocess_fn(preset, is_training=False):
    """The preprocessing of a preset, with its values.

    Args:
        preset: A `Preset`.
        is_training: Whether to return the random changes for training. They take means, deviations and the order of the
            channels from the preset; how they resize and crop is random.

    Returns:
        A function `fn(image, height, width, seed=None)`, see `nets.data.preprocessing`.
    """
    function = preprocessing.get_preprocessing(preset.preprocessing, is_training)
    known = preprocessing.get_options(preset.preprocessing, is_training, preset.image_size)
    return functools.partial(function, **{key: value for key, value in preset.options.items() if key in known})


def path_of(prefix):
    """The path of the file of a checkpoint, by the checkpoint's prefix."""
    return prefix + SUFFIX


def write(prefix, preset):
    """Writes the file of a checkpoint; readers see the old one or the whole new one.

    Args:
        prefix: The checkpoint's prefix.
        preset: A `Preset`.

    Returns:
        The path of the file.

    Raises:
        ValueError: A value of the preset cannot be honoured.
        OSError: The file cannot be written.
    """
    return write_file(path_of(prefix), preset)


def write_file(path, preset):
    """Writes a file of any name; otherwise as `write`."""
    check(preset)
    with atomic_file.writing(path) as file:
        json.dump(preset._asdict(), file, indent=1, ensure_ascii=False)
        file.write('\n')
    return path


def read(path):
    """Reads the preset of a checkpoint.

    Args:
        path: The checkpoint's prefix, one of its files, or a directory; see `restore.find_checkpoint`.

    Returns:
        A `Preset`, or None if the checkpoint has none.

    Raises:
        ValueError: There is no checkpoint, or its preset is damaged or cannot be honoured; the message names the file.
    """
    prefix = restore.find_checkpoint(path)
    for file in (path_of(prefix), os.path.join(os.path.dirname(prefix), DIRECTORY_FILE)):
        if os.path.exists(file):
            return read_file(file)
    return None


def read_file(path):
    """Reads a preset's own file; otherwise as `read`."""
    try:
        with open(path, encoding='utf-8') as file:
            fields = json.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(f'The preset {path} cannot be read: {error}. Repair it, or remove it to use the '
                         "network's own preset.") from error
    if not isinstance(fields, dict) or set(fields) != set(Preset._fields) or not isinstance(fields['options'], dict):
        found = ', '.join(map(repr, fields)) if isinstance(fields, dict) else repr(fields)[:80]
        raise ValueError(f'The preset {path} must be a JSON object of {", ".join(Preset._fields)}, where options is an '
                         f'object; got {found}.')
    try:
        names = fields['class_names']
        return check(Preset(**dict(fields, class_names=tuple(names) if isinstance(names, list) else names)))
    except (ValueError, TypeError) as error:
        raise ValueError(f'The preset {path} cannot be honoured: {error}') from error


def _check_number(name, value):
    if isinstance(value, bool) or not isinstance(value, int) or value < _NUMBERS[name]:
        raise ValueError(f'{name} must be a whole number from {_NUMBERS[name]}; got {value!r}.')


def _check_colour(name, value):
    numbers = value if isinstance(value, (list, tuple)) else ()
    finite = all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers)
    if len(numbers) != 3 or not finite or (name == 'deviations' and min(numbers) <= 0):
        raise ValueError(f'{name} must be three numbers, red, green and blue{", above 0" * (name == "deviations")}; '
                         f'got {value!r}.')


def _check_class_names(preset):
    names = preset.class_names
    if names is None:
        return
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f'class_names must be a list of strings or null; got {str(names)[:80]}.')
    if len(names) != preset.num_classes:
        raise ValueError(f'class_names must be one for each of the {preset.num_classes} classes; got {len(names)}.')
