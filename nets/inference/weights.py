"""What the weights of a checkpoint want: number of classes, image size and preprocessing."""

import collections
import hashlib
import math
import os
import re

from nets import nets_factory
from nets.checkpoints import preset_file, restore
from nets.data import preprocessing as presets

_LOGITS = re.compile(r'(^|/)logits/weights$')
_CHUNK = 1 << 20


# checkpoint: its prefix. network: a name of `nets_factory.NETWORKS`. preset: `preset_file.Preset`, with the size and
# preprocessing that are to be used and the number of logits in the checkpoint.
Weights = collections.namedtuple('Weights', ['checkpoint', 'network', 'preset'])


def find(network, checkpoint, image_size=None, preprocessing=None, num_classes=None):
    """Finds out what a checkpoint wants.

    Args:
        network: str, a name of `nets_factory.NETWORKS`; None for that in the checkpoint's preset.
        checkpoint: str, as `restore.find_checkpoint` takes it.
        image_size: int, in pixels; None for the preset's.
        preprocessing: str, a key of `nets.data.preprocessing.PREPROCESSING`; None for the preset's.
        num_classes: int; None for the number of logits in the checkpoint.

    Returns:
        `Weights`. The preset is that beside the checkpoint, or else the network's.

    Raises:
        ValueError: If the network or the preprocessing is unknown, the size is less than 1, or there is no readable
            checkpoint.
    """
    if network is not None:
        nets_factory.get_network_fn(network, 0)
    if image_size is not None and (not isinstance(image_size, int) or image_size < 1):
        raise ValueError(f'image_size must be a whole number of pixels from 1; got {image_size!r}.')
    path = restore.find_checkpoint(checkpoint)
    preset = preset_file.read(path)
    network = network or (preset and preset.network)
    if not network:
        raise ValueError(f'network must be given, as no preset beside {path} names it; the networks are '
                         f'{", ".join(nets_factory.NETWORKS)}.')
    if num_classes is None:
        num_classes = count_classes(restore.read_shapes(path))
    if preset is None:
        preset = preset_file.of_network(network, num_classes)
    return Weights(path, network, _changed(preset._replace(num_classes=num_classes), image_size, preprocessing))


def _changed(preset, image_size, preprocessing):
    """A preset with another size or preprocessing, if they are given, and the options that go with it."""
    if preset.class_names and len(preset.class_names) != preset.num_classes:
        preset = preset._replace(class_names=None)
    size = preset.image_size if image_size is None else image_size
    if preprocessing not in (None, preset.preprocessing):
        options = presets.get_options(preprocessing, False, size)
        return preset_file.check(preset._replace(image_size=size, preprocessing=preprocessing, options=options))
    options = dict(preset.options)
    if image_size not in (None, preset.image_size):
        own = presets.get_options(preset.preprocessing, False, preset.image_size)
        other = presets.get_options(preset.preprocessing, False, image_size)
        for name in options:
            if own[name] != other[name]:  # it depends on the size
                options[name] = (other[name] if options[name] == own[name]
                                 else math.ceil(options[name] * image_size / preset.image_size))
    return preset_file.check(preset._replace(image_size=size, options=options))


def count_classes(shapes):
    """The number of logits in a checkpoint.

    Args:
        shapes: what `restore.read_shapes` gives.

    Returns:
        An int; 0 if there are no logits.
    """
    found = sorted((name for name in shapes if _LOGITS.search(name)), key=lambda name: (name.count('/'), name))
    return int(shapes[found[0]][0][-1]) if found else 0


def fingerprint(checkpoint):
    """A hash that tells checkpoints of the same name apart.

    Args:
        checkpoint: str, the prefix.

    Returns:
        A str: the SHA-256 of the index, which holds a checksum of each variable, or of the only file.
    """
    path = checkpoint + '.index'
    digest = hashlib.sha256()
    with open(path if os.path.exists(path) else checkpoint, 'rb') as file:
        for chunk in iter(lambda: file.read(_CHUNK), b''):
            digest.update(chunk)
    return digest.hexdigest()
