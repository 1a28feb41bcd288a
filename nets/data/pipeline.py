"""Batches of preprocessed images for training and evaluation."""

import os

import tensorflow.compat.v1 as tf

from nets.data import images, order, streams

Share = streams.Share


@tf.autograph.experimental.do_not_convert
def batches(dataset, preprocess, height, width, batch_size, share=None, num_parallel_calls=4, skip_corrupt=None,
            labels_offset=0):
    """Makes the batches of a data set.

    For training the stream never ends, every pass is in another order and every batch is full; it is a pure function
    of `share`, whatever `num_parallel_calls` is. For evaluation it holds every example once, in order; the last batch
    is filled up with blank images whose `mask` is False.

    Args:
        dataset: a `nets.data.datasets.Dataset`.
        preprocess: a function `fn(image, height, width, seed=None)`, see `nets.data.preprocessing`.
        height: int, in pixels.
        width: int, in pixels.
        batch_size: int.
        share: a `Share` for training; None for evaluation.
        num_parallel_calls: int, the number of images that are read, decoded and preprocessed at a time.
        skip_corrupt: None to raise an error at a corrupt image; or an object with a method `append`, such as
            a list, to leave such images out: in training, another example takes the place. It then gets the name of
            each of them once, as a str, when the image is met.
        labels_offset: int that is subtracted from the labels, as in slim: 1 for ImageNet without its
            background class.

    Returns:
        A `tf.data.Dataset` of dicts with the keys `image` (float32 `[batch_size, height, width, 3]`), `label`
        (int64 `[batch_size]`), `mask` (bool `[batch_size]`), `name` (string `[batch_size]`), and for
        evaluation `encoded` (string `[batch_size]`). Running it raises `InvalidArgumentError` with the name
        of the image where one is corrupt (without `skip_corrupt`), or all are, and where a label is not of a
        class.

    Raises:
        ValueError: If a size is less than 1, the data set is empty, `labels_offset` is not in `[0, num_classes)`, or
            the share cannot be had.
    """
    streams.check(dataset, height=height, width=width, batch_size=batch_size, num_parallel_calls=num_parallel_calls)
    if not 0 <= labels_offset < dataset.num_classes:
        raise ValueError(f'labels_offset must be at least 0 and less than the {dataset.num_classes} classes '
                         f'of the data set {dataset.name!r}; got {labels_offset}.')
    source = dataset.source
    corrupt = streams.Corrupt(dataset, skip_corrupt, _diagnose)
    to_label = _label_fn(dataset.num_classes, labels_offset)

    if share is None:
        def decode(row):
            example = source.load(row)
            return dict(example, image=images.decode(example['encoded']))

        def finish(example):
            return {'image': preprocess(example['image'], height, width), 'label': to_label(example), 'mask': True,
                    'name': example['name'], 'encoded': example['encoded']}

        return streams.evaluation(source, corrupt, decode, finish, batch_size, num_parallel_calls)

    def prepare(row):
        example = source.load(row)
        image = preprocess(images.Encoded(example['encoded']), height, width,
                           seed=order.augmentation_seed(row['position'], share.seed))
        return {'image': image, 'label': example['label'], 'mask': True, 'name': example['name']}

    return streams.training(source, corrupt, prepare, lambda example: dict(example, label=to_label(example)), share,
                            batch_size, num_parallel_calls)


def _diagnose(example):
    name = os.fsdecode(example['name'])
    return f'Cannot decode the image {name!r}: {images.diagnose(example["encoded"])}.'


def _label_fn(num_classes, labels_offset):
    """Makes the function that checks and shifts the label of an example."""

    def to_label(example):
        label = example['label']
        valid = tf.logical_and(label >= labels_offset, label < num_classes)
        message = ['The label of', example['name'], f'must be at least {labels_offset} (labels_offset) and '
                   f'less than {num_classes} (the number of classes); got', label]
        with tf.control_dependencies([tf.debugging.Assert(valid, message)]):
            return label - labels_offset

    return to_label
