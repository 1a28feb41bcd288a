"""Batches of images and labels for segmentation."""

import os

import numpy as np
import tensorflow.compat.v1 as tf

from nets.data import images, order, streams
from nets.data.segmentation import label_images


@tf.autograph.experimental.do_not_convert
def batches(dataset, preprocess, height, width, batch_size, share=None, num_parallel_calls=4, skip_corrupt=None):
    """Makes the batches of a data set; as `nets.data.pipeline.batches` does, by the same streams.

    For training the stream never ends, every pass is in another order and every batch is full; it is a pure function
    of `share`. For evaluation it holds every example once, in order; the last batch is filled up with images of zeros
    and labels to be ignored, whose `mask` is False.

    Args:
        dataset: a `nets.data.segmentation.datasets.Dataset`.
        preprocess: a function; see `nets.data.segmentation.augmentation`.
        height: int, in pixels; None, with `width`, for images as they are, in evaluation with a `batch_size` of 1.
        width: int or None, as `height`.
        batch_size: int.
        share: a `nets.data.pipeline.Share` for training; None for evaluation.
        num_parallel_calls: int, the number of images that are read, decoded and preprocessed at a time.
        skip_corrupt: None to raise an error where an image or its label cannot be decoded; or an object with a method
            `append` that gets the names of such examples, see `nets.data.pipeline.batches`. A label that can be decoded
            and is not as it should be is an error all the same.

    Returns:
        A `tf.data.Dataset` of dicts with the keys `image` (float32 `[batch_size, height, width, 3]`), `label` (int32
        `[batch_size, height, width]`, class numbers or the ignore label), `mask` (bool `[batch_size]`), `name` (string
        `[batch_size]`), and for evaluation `size` (int32 `[batch_size, 2]`, height and width of the original image,
        which is the top left of what has been padded) and `encoded` (string `[batch_size]`, the image's file). Running
        it raises `InvalidArgumentError` with the name of the file where one cannot be decoded (without
        `skip_corrupt`), where a label image holds colours, is not of the size of its image or has a label that is
        neither a class nor the ignore label, and where an image for evaluation is larger than `height` x `width`.

    Raises:
        ValueError: If a size is less than 1 or not allowed, the data set is empty, or the share cannot be had.
    """
    whole = height is None and width is None and share is None and batch_size == 1
    if not whole and None in (height, width):
        raise ValueError('height and width must be numbers, or both None for an evaluation by batches of 1; got '
                         f'{height} and {width}, with batches of {batch_size}'
                         f'{"" if share is None else " for training"}.')
    streams.check(dataset, batch_size=batch_size, num_parallel_calls=num_parallel_calls,
                  **({} if whole else {'height': height, 'width': width}))
    reader = Reader(dataset, (height, width) if share is None and not whole else None)
    corrupt = streams.Corrupt(dataset, skip_corrupt, reader.diagnose)
    if share is None:
        return _evaluation(dataset, preprocess, height, width, batch_size, reader, corrupt, num_parallel_calls)

    def prepare(row):
        example = dataset.source.load(row)
        image, label = preprocess(*reader.read(example), height, width, dataset.ignore_label,
                                  seed=order.augmentation_seed(row['position'], share.seed))
        return {'image': image, 'label': label, 'mask': True, 'name': example['name']}

    return streams.training(dataset.source, corrupt, prepare, dict, share, batch_size, num_parallel_calls)


def _evaluation(dataset, preprocess, height, width, batch_size, reader, corrupt, num_parallel_calls):
    def decode(row):
        example = dataset.source.load(row)
        image, label = reader.read(example)
        return {'image': image, 'label': label, 'name': example['name'], 'encoded': example['encoded']}

    def finish(example):
        image, label = preprocess(example['image'], example['label'], height, width, dataset.ignore_label)
        return {'image': image, 'label': label, 'mask': True, 'name': example['name'],
                'size': tf.shape(example['label']), 'encoded': example['encoded']}

    def ignore_blanks(batch):
        label = tf.where_v2(batch['mask'][:, tf.newaxis, tf.newaxis], batch['label'], dataset.ignore_label)
        return dict(batch, label=tf.ensure_shape(label, batch['label'].shape))

    made = streams.evaluation(dataset.source, corrupt, decode, finish, batch_size, num_parallel_calls)
    return made if batch_size == 1 else made.map(ignore_blanks)


class Reader:
    """Decodes images and labels, and says what is wrong with them."""

    def __init__(self, dataset, largest=None):
        """Takes a data set, and the height and width that no image may exceed, or None."""
        self._dataset = dataset
        self._largest = largest

    def read(self, example):
        """The pixels of an example, uint8 `[height, width, 3]`, and its labels, int32 `[height, width]`."""
        image = images.decode(example['encoded'])
        label = tf.numpy_function(self._labels, [example['label'], tf.shape(image)], tf.int32)
        label.set_shape([None, None])
        return image, label

    def diagnose(self, example):
        """See `nets.data.streams.Corrupt`."""
        image_file, label_file, name = (os.fsdecode(example[key]) for key in ('image_file', 'label_file', 'name'))
        try:
            _, height, width = images.Checker().check(example['encoded'])
        except ValueError as error:
            return f'Cannot decode the image {image_file!r}: {error}.'
        try:
            self._labels(example['label'], (height, width))
        except label_images.Damaged as error:
            return f'Cannot decode the label image {label_file!r} of {name!r}: {error}.'
        except label_images.Unusable as error:
            raise ValueError(f'The label image {label_file!r} of {name!r} cannot be used: {error}.') from None
        raise ValueError(f'The image {image_file!r} cannot be prepared, though it and its labels are sound.')

    def _labels(self, encoded, shape):
        """The labels of an image of some shape; raises an error of `label_images` where they are not as they should."""
        labels = label_images.decode(encoded)
        check(labels, shape, self._dataset)
        if self._largest and (shape[0] > self._largest[0] or shape[1] > self._largest[1]):
            raise label_images.Unusable('it and its image are larger than the evaluation takes, {}x{} (height x width) '
                                        'where {}x{} are allowed. Choose a larger size'.format(
                                            *shape[:2], *self._largest))
        return labels


def check(labels, shape, dataset):
    """Checks the labels of an image.

    Args:
        labels: int array `[height, width]`.
        shape: the shape of the image, height and width first.
        dataset: a `nets.data.segmentation.datasets.Dataset`.

    Raises:
        label_images.Unusable: If they are of another size, or one is neither a class nor the ignore label.
    """
    if tuple(labels.shape) != tuple(shape[:2]):
        raise label_images.Unusable('its size is {}x{} (height x width) and that of its image {}x{}'.format(
            *labels.shape, *shape[:2]))
    wrong = (labels >= dataset.num_classes) & (labels != dataset.ignore_label)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise label_images.Unusable(
            f'{wrong.sum()} of its pixels have no class, the first in row {row} and column {column} with the label '
            f'{labels[row, column]}; labels must be from 0 to {dataset.num_classes - 1}, or {dataset.ignore_label} '
            'to be ignored')
