"""The classes that a network sees in images, and where it sees them."""

import os
import re

import numpy as np

from nets.data import records
from nets.data.segmentation import label_images
from nets.inference import graph, heatmap, images
from nets.inference.extractor import FeatureExtractor

_ENDING = '.heatmap.png'
_NUMBERED = re.compile(r'(\d+)\s*:\s*(.*)')


def predict(network, checkpoint, paths, top=5, labels=None, heatmap_dir=None, **options):
    """Finds the likeliest classes of images.

    Args:
        network: str, a name of `nets_factory.NETWORKS`; None for that of the preset beside the checkpoint.
        checkpoint: str, as `restore.find_checkpoint` takes it.
        paths: paths of image files.
        top: int, how many classes an image gets.
        labels: str, a file with the names of the classes, as `read_labels` takes it; None for those of the preset.
        heatmap_dir: str, a folder for class activation maps of the likeliest class over the picture as the network sees
            it, PNG files `NAME.heatmap.png`; None for none.
        **options: further arguments of `nets.inference.extractor.FeatureExtractor`.

    Returns:
        A dict: `images`, a list of dicts with `image` (the path), `predictions` (a list of dicts with `class`, `name`
        and `probability`, the likeliest first) and `heatmap` (a path or None); `corrupt`, a list of `[path, reason]`;
        `checkpoint`, `num_classes`, `image_size` and `preprocessing`.

    Raises:
        ValueError: If something is unknown or not as it should be, or the network gives no numbers.
    """
    if not isinstance(top, int) or top < 1:
        raise ValueError(f'top must be a whole number from 1; got {top!r}.')
    if heatmap_dir is not None:
        try:
            os.makedirs(heatmap_dir, exist_ok=True)
        except OSError as error:
            raise ValueError(f'The heat maps cannot be written to {heatmap_dir}: {error.strerror}. Name another folder.'
                             ) from error
    end_points = ['predictions'] + ([graph.CLASS_ACTIVATION_MAPS] if heatmap_dir is not None else [])
    results, corrupt = [], []
    with FeatureExtractor(network, checkpoint, end_points, **options) as extractor:
        preset = extractor.weights.preset
        names = class_names(preset, labels)
        draw = None if heatmap_dir is None else _Drawer(heatmap_dir, preset)
        for batch, rows in extractor.batches(images.Files(paths)):
            corrupt += [[batch.names[place], reason] for place, reason in sorted(batch.corrupt.items())]
            sound = [name for place, name in enumerate(batch.names) if place not in batch.corrupt]
            for row, path in enumerate(sound):
                likeliest = _likeliest(path, rows['predictions'][row], top)
                drawn = draw and draw(path, batch.images[row],
                                      rows[graph.CLASS_ACTIVATION_MAPS][row][..., likeliest[0]['class']])
                results.append({'image': path, 'heatmap': drawn,
                                'predictions': [dict(one, name=names[one['class']]) for one in likeliest]})
        return {'images': results, 'corrupt': corrupt, 'checkpoint': extractor.weights.checkpoint,
                'num_classes': preset.num_classes, 'image_size': preset.image_size,
                'preprocessing': preset.preprocessing}


def class_names(preset, labels=None):
    """The names of a network's classes.

    Args:
        preset: a `preset_file.Preset`.
        labels: str, a file as `read_labels` takes it; None for the names in the preset, or else numbers.

    Returns:
        A list of str, one for each class. Where the names leave out the background classes, these are 'background'.

    Raises:
        ValueError: If the file cannot be used, or has another number of names than there are classes.
    """
    if labels is None:
        return list(preset.class_names or map(str, range(preset.num_classes)))
    names = read_labels(labels)
    without_background = preset.num_classes - preset.label_offset
    if len(names) == without_background:
        return ['background'] * preset.label_offset + names
    if len(names) != preset.num_classes:
        raise ValueError(f'{labels!r} names {len(names)} classes; the network has {preset.num_classes}'
                         + f', of which {preset.label_offset} of background' * bool(preset.label_offset) + '.')
    return names


def read_labels(path):
    """Reads the names of classes.

    Args:
        path: str, a text file with a line `ID:NAME` for each class (slim's `labels.txt`), or a name a line, in order.

    Returns:
        A list of str; a number that has no line gets itself as a name.

    Raises:
        ValueError: If the file cannot be read or is empty, or a number occurs twice or is out of range.
    """
    try:
        with open(path, encoding='utf-8') as file:
            lines = [line.strip() for line in file if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'it is no text in UTF-8'
        raise ValueError(f'The labels {path!r} cannot be read: {reason}.') from error
    if not lines:
        raise ValueError(f'The labels {path!r} must have a line for each class; the file is empty.')
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if not all(numbered):
        return lines
    names = {}
    for match in numbered:
        if int(match.group(1)) in names:
            raise ValueError(f'The labels {path!r} name the class {match.group(1)} twice.')
        names[int(match.group(1))] = match.group(2)
    return list(records.fill_names(names, path))


def _likeliest(path, probabilities, top):
    probabilities = probabilities.ravel()
    if not np.isfinite(probabilities).all():
        raise ValueError(f'The network gives probabilities for {path!r} that are no numbers (NaN); its weights are '
                         'damaged. Use another checkpoint.')
    return [{'class': int(number), 'probability': float(probabilities[number])}
            for number in np.argsort(-probabilities, kind='stable')[:top]]


class _Drawer:
    """Writes heat maps under names that are not taken by another image of the same call."""

    def __init__(self, folder, preset):
        self._folder = folder
        self._picture = heatmap.picture_fn(preset)
        self._taken = set()

    def __call__(self, path, prepared, activation):
        """Writes the map of one image and returns its path."""
        name = images.free_name(path, [_ENDING], self._taken)
        target = os.path.join(self._folder, name + _ENDING)
        label_images.write_image(target, heatmap.overlay(self._picture(prepared), activation))
        return target
