"""Features of images at named end points of a network."""

import functools
import os

import numpy as np

from nets.checkpoints import preset_file
from nets.inference import engines, images
from nets.inference import weights as weights_

DTYPES = ('float32', 'float16')


class FeatureExtractor:
    """A network with its weights that turns images into features; use it in a `with`.

        with FeatureExtractor('resnet_v1_50', 'resnet_v1_50.ckpt') as extractor:
            features = extractor(['cat.jpg', 'dog.jpg'])['global_pool']

    The network is in a graph of its own, with batch norm folded into its convolutions; the default graph stays as it
    is.

    Attributes:
        weights: `nets.inference.weights.Weights`: checkpoint, network and preset.
        end_points: tuple of str, the names of the end points.
        dtype: str, the type of the features.
        batch_size: int, the most images that are computed at a time.
    """

    def __init__(self, network, checkpoint, end_points=('global_pool',), image_size=None, preprocessing=None,
                 spatial_average=False, dtype='float32', batch_size=32, num_classes=None, moving_averages=False,
                 num_parallel_calls=4, engine='tensorflow', renames=()):
        """Builds the network and loads its weights.

        Args:
            network: str, a name of `nets_factory.NETWORKS`; None for that of the preset beside the checkpoint.
            checkpoint: str, a checkpoint's prefix, one of its files, or a directory with one.
            end_points: names of end points; those of the network, or `class_activation_maps`.
            image_size: int, height and width in pixels; None for that of the weights' preset.
            preprocessing: str, a key of `nets.data.preprocessing.PREPROCESSING`; None for that of the weights' preset.
            spatial_average: bool, whether to average maps `[batch, height, width, depth]` over height and width.
            dtype: 'float32' or 'float16', the type of the features; the network computes in float32.
            batch_size: int, the most images to compute at a time.
            num_classes: int, the number of logits; None for what the checkpoint holds.
            moving_averages: bool, whether to load the moving averages of the weights.
            num_parallel_calls: int, the number of images that are decoded at a time.
            engine: str, what computes: 'tensorflow', or 'onnxruntime' where it is installed.
            renames: scopes that the checkpoint has under other names; see `nets.checkpoints.restore.restore_fn`.

        Raises:
            ValueError: If a name is unknown or a number out of range, or the checkpoint cannot be read or does not fit.
            ImportError: If the engine's packages are not installed.
        """
        if dtype not in DTYPES:
            raise ValueError(f'dtype must be one of {", ".join(DTYPES)}; got {dtype!r}.')
        for key, value in (('batch_size', batch_size), ('num_parallel_calls', num_parallel_calls)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'{key} must be a whole number from 1; got {value!r}.')
        self.weights = weights_.find(network, checkpoint, image_size, preprocessing, num_classes)
        self.dtype = dtype
        self.batch_size = batch_size
        self._num_parallel_calls = num_parallel_calls
        self._row_shapes = None
        preset = self.weights.preset
        self._engine = engines.open_engine(
            engine, self.weights.network, self.weights.checkpoint, end_points or (), preset.num_classes,
            image_shape=(None, preset.image_size, preset.image_size, 3), moving_averages=moving_averages,
            renames=renames)
        self._spatial_average = spatial_average
        self.end_points = tuple(dict.fromkeys(end_points))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Frees the network; the extractor cannot be used after it."""
        self._engine.close()

    def __call__(self, images_):
        """Computes the features of images.

        Args:
            images_: float array `[batch, image_size, image_size, 3]` of preprocessed images; or uint8 array `[batch,
                height, width, 3]`, or list of uint8 arrays `[height, width, 3]`, RGB 0-255; or list of paths.

        Returns:
            A dict from end point to array `[batch, …]`.

        Raises:
            ValueError: If the images are none of these, or one is corrupt.
        """
        if isinstance(images_, np.ndarray) and np.issubdtype(images_.dtype, np.floating):
            parts = self._compute_prepared(images_)
        else:
            parts = [rows for batch, rows in self.batches(_source(images_)) if _sound(batch)]
        return {name: np.concatenate([part[name] for part in parts] or [np.zeros((0,) + shape, self.dtype)])
                for name, shape in self.row_shapes().items()}

    def stream(self, paths, skip_corrupt=None):
        """Computes the features of image files, of any number of them in the same memory.

        Args:
            paths: paths of JPEG, PNG, GIF, BMP or WebP files.
            skip_corrupt: None to raise an error at a corrupt image; or an object with a method `append`, such as a
                list, to leave such images out. It gets the path of each of them.

        Yields:
            A pair after the other, in the order of `paths`: the path, and a dict from end point to array.

        Raises:
            ValueError: If an image is corrupt.
        """
        for batch, rows in self.batches(images.Files(paths)):
            if skip_corrupt is None:
                _sound(batch)
            sound = [name for place, name in enumerate(batch.names) if place not in batch.corrupt]
            for place in sorted(batch.corrupt):
                skip_corrupt.append(batch.names[place])
            for row, name in enumerate(sound):
                yield name, {end_point: rows[end_point][row] for end_point in rows}

    def batches(self, source, start=0):
        """Computes the features of a source of images, batch by batch.

        Args:
            source: a `Files`, `Records` or `Arrays` of `nets.inference.images`.
            start: int, the number of the image to begin with.

        Yields:
            A pair after the other: the `nets.inference.images.Batch`, and a dict from end point to an array with one
            row for each sound image.

        Raises:
            ValueError: If a TFRecord file is damaged.
        """
        size = self.weights.preset.image_size
        prepare = functools.partial(preset_file.preprocess_fn(self.weights.preset), height=size, width=size)
        for batch in images.batches(source, prepare, size, self.batch_size, start, self._num_parallel_calls):
            yield batch, self._compute(batch.images)

    def row_shapes(self):
        """The shape of one image's features: dict from end point to tuple of ints."""
        if self._row_shapes is None:
            size = self.weights.preset.image_size
            rows = self._compute(np.zeros((1, size, size, 3), np.float32))
            self._row_shapes = {name: array.shape[1:] for name, array in rows.items()}
        return self._row_shapes

    def _compute_prepared(self, prepared):
        """The features of preprocessed images, in parts of the batch size."""
        expected = (self.weights.preset.image_size, self.weights.preset.image_size, 3)
        if prepared.shape[1:] != expected:
            raise ValueError(f'Preprocessed images must have the shape [batch, {", ".join(map(str, expected))}]; got '
                             f'{list(prepared.shape)}. Give image_size for images of another size, or uint8 images, '
                             'which are preprocessed.')
        return [self._compute(prepared[first:first + self.batch_size])
                for first in range(0, len(prepared), self.batch_size)]

    def _compute(self, prepared):
        if not len(prepared):
            return {name: np.zeros((0,) + shape, self.dtype) for name, shape in self.row_shapes().items()}
        rows = self._engine(np.asarray(prepared, np.float32))
        if self._spatial_average:
            rows = {name: array.mean((1, 2)) if array.ndim == 4 else array for name, array in rows.items()}
        return {name: self._stored(name, rows[name]) for name in self.end_points}

    def _stored(self, name, array):
        """An array in the type to store it in."""
        if self.dtype == 'float32':
            return array
        with np.errstate(over='ignore'):
            stored = array.astype(self.dtype)
        if np.isinf(stored).any() and not np.isinf(array).any():
            raise ValueError(f'The features at {name!r} reach {np.abs(array).max():.4g}, and float16 ends at 65504; '
                             'use the dtype float32.')
        return stored


def _source(images_):
    """The source of a list of paths, of images in a list, or of an array of images."""
    hint = ('images must be a float array [batch, height, width, 3] of preprocessed images, a uint8 array of that '
            'shape, a list of uint8 arrays [height, width, 3], or a list of paths; got ')
    if isinstance(images_, (str, bytes, os.PathLike)) or not hasattr(images_, '__len__'):
        raise ValueError(f'{hint}{images_!r}.')
    if isinstance(images_, np.ndarray) and images_.ndim != 4:
        raise ValueError(f'{hint}an array of shape {list(images_.shape)}.')
    if all(isinstance(one, (str, bytes, os.PathLike)) for one in images_):
        return images.Files(images_)
    for one in images_:
        if not isinstance(one, np.ndarray) or one.dtype != np.uint8 or one.ndim != 3 or one.shape[-1] != 3:
            shown = f'{one.dtype} of shape {list(one.shape)}' if isinstance(one, np.ndarray) else repr(one)
            raise ValueError(f'{hint}one that is {shown}.')
    return images.Arrays(images_)


def _sound(batch):
    """True; raises a ValueError if an image of the batch is corrupt."""
    for place, reason in sorted(batch.corrupt.items()):
        raise ValueError(f'Cannot decode the image {batch.names[place]!r}: {reason}. Replace or remove it, or skip '
                         'such images (skip_corrupt).')
    return True
