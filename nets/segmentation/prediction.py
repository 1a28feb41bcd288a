"""The classes of the pixels of image files, as label images and over the photographs, and what the network sees."""

import itertools
import os
import sys

import numpy as np
from tqdm import tqdm

from nets.data.segmentation import label_images
from nets.inference import images
from nets.segmentation import pictures
from nets.segmentation.segmenter import Segmenter
from nets.training import files, terminal

SHOWN = ('features', 'heatmap')
_MOST_COLOURS = 256


def predict(config, specs, output_dir, show=(), end_point=None, class_names=()):
    """Segments images, and writes for each `NAME.png`, class numbers with a palette, and `NAME.overlay.png`.

    Args:
        config: A `nets.segmentation.config.InferenceConfig`.
        specs: Image files, folders, patterns, lists and TFRecord files; see `nets.inference.images.find`.
        output_dir: Folder of the results; made if need be.
        show: What else to write, of `SHOWN`: `NAME.features.png`, the first three principal components of an end point
            over the photograph, and `NAME.CLASS.heatmap.png`, the probability of a class.
        end_point: Name of that end point; None for the last one before the logits.
        class_names: Classes that get heat maps; empty for those that are found in an image.

    Returns:
        A dict: `images`, a list of dicts with `image`, `classes`, `overlay`, `features` (paths, the last one or None),
        `heatmaps` (dict from class to path) and `shares` (dict from class to its share of the pixels, of those that
        are found); `corrupt`, a list of `[name, reason]`; `checkpoint` and `end_point`.

    Raises:
        ValueError: Something is unknown or not as it should be.
    """
    for name in show:
        if name not in SHOWN:
            raise ValueError(f'show must be {" or ".join(SHOWN)}; got {name!r}.')
    if show and config.tile_size:
        raise ValueError(f'--show={",".join(show)} is for images in one piece: leave --tile_size out.')
    for flag, value, shown in (('end_point', end_point, 'features'), ('class_names', class_names, 'heatmap')):
        if value and shown not in show:
            raise ValueError(f'--{flag} is for --show {shown}: add that, or leave --{flag} out.')
    sources = [images.find(spec) for spec in specs]
    _check_kept(sources, files.writable_dir(output_dir, 'output'))
    results, corrupt = [], []
    with Segmenter(config, [end_point] if 'features' in show else []) as segmenter:
        writer = _Writer(segmenter, output_dir, show, class_names)
        with tqdm(total=sum(map(len, sources)), desc='predicting', ncols=terminal.bar_width(),
                  disable=not sys.stderr.isatty()) as bar:
            for name, image, reason in itertools.chain.from_iterable(map(images.decoded, sources)):
                if image is None:
                    corrupt.append([name, reason])
                else:
                    results.append(writer.write(name, image, bar))
                bar.update(1)
        return {'images': results, 'corrupt': corrupt, 'checkpoint': segmenter.checkpoint,
                'end_point': next(iter(segmenter.end_points), None)}


def _check_kept(sources, output_dir):
    """Raises a ValueError if results could overwrite an image."""
    folder = os.path.realpath(output_dir)
    for path in itertools.chain.from_iterable(source.paths for source in sources):
        if path.lower().endswith('.png') and os.path.realpath(os.path.dirname(path)) == folder:
            raise ValueError(f'--output={output_dir} is the folder of {path}, which results could overwrite. Name '
                             'another folder.')


class _Writer:
    """Writes the results of images under names that are not taken by another image of the same call."""

    def __init__(self, segmenter, folder, show, class_names):
        model = segmenter.model
        unknown = [name for name in class_names if name not in model.class_names]
        if unknown:
            raise ValueError(f'There is no class {unknown[0]!r}; the classes are {", ".join(model.class_names)}.')
        self._segmenter, self._folder, self._show, self._chosen = segmenter, folder, show, class_names
        self._names = model.class_names
        self._ignored = model.ignore_label
        self._palette = np.zeros([max(len(model.palette), _MOST_COLOURS), 3], np.uint8)
        self._palette[:len(model.palette)] = model.palette
        self._endings = ['.png', '.overlay.png', '.features.png', *(self._heatmap_ending(one) for one in self._names)]
        self._taken = set()

    def write(self, name, image, bar):
        """Segments one image and writes all that is wanted; returns its entry of the results."""
        probabilities = None
        if 'heatmap' in self._show:
            probabilities = self._segmenter.probabilities(image)
            classes = probabilities.argmax(2).astype(np.uint16)
        else:
            classes = self._segmenter.classes(image, lambda done, of: bar.set_postfix_str(f'tile {done}/{of}'))
        stem = self._stem(name)
        found = np.bincount(classes.ravel(), minlength=len(self._names))
        shares = {self._names[number]: float(found[number] / classes.size) for number in np.flatnonzero(found)}
        entry = {'image': name, 'classes': stem + '.png', 'overlay': stem + '.overlay.png', 'features': None,
                 'heatmaps': {}, 'shares': shares}
        few = len(self._names) <= _MOST_COLOURS
        label_images.write(entry['classes'], classes, self._palette[:_MOST_COLOURS] if few else None)
        label_images.write_image(entry['overlay'], label_images.overlay(image, classes, self._palette, bare=()))
        if 'features' in self._show:
            (features, shown), = self._segmenter.features(image).values()
            entry['features'] = stem + '.features.png'
            label_images.write_image(entry['features'], pictures.principal_components(image, features, shown))
        for one in self._chosen or (shares if probabilities is not None else ()):
            path = stem + self._heatmap_ending(one)
            label_images.write_image(path, pictures.heatmap(image, probabilities[..., self._names.index(one)]))
            entry['heatmaps'][one] = path
        return entry

    def _stem(self, name):
        """The path of the results of an image, without what they end in."""
        return os.path.join(self._folder, images.free_name(name, self._endings, self._taken))

    @staticmethod
    def _heatmap_ending(name):
        return f'.{name.replace(os.sep, "_")}.heatmap.png'
