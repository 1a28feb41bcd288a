"""Batches of preprocessed images for training and evaluation."""

import threading

import tensorflow.compat.v1 as tf

from nets.data import images

_PREFETCH = 2


@tf.autograph.experimental.do_not_convert
def batches(dataset, preprocess, height, width, batch_size, is_training, seed=None, num_parallel_calls=4,
            skip_corrupt=None, labels_offset=0):
    """Makes the batches of a data set.

    For training the stream never ends, every pass is in another order and every batch is full. For evaluation
    it holds every example once, in order; the last batch is filled up with blank images whose `mask` is
    False. The same seed gives the same batches, whatever `num_parallel_calls` is.

    Args:
        dataset: a `nets.data.datasets.Dataset`.
        preprocess: a function `fn(image, height, width, seed=None)`, see `nets.data.preprocessing`.
        height: int, in pixels.
        width: int, in pixels.
        batch_size: int.
        is_training: bool.
        seed: int or None; decides order and random changes, together with `tf.set_random_seed`.
        num_parallel_calls: int, the number of images that are read, decoded and preprocessed at a time.
        skip_corrupt: None to raise an error at a corrupt image; or an object with a method `append`, such as
            a list, to leave such images out. It then gets the name of each of them once, as a str, when the
            image is met.
        labels_offset: int that is subtracted from the labels, as in slim: 1 for ImageNet without its
            background class.

    Returns:
        A `tf.data.Dataset` of dicts with the keys `image` (float32 `[batch_size, height, width, 3]`), `label`
        (int64 `[batch_size]`), `mask` (bool `[batch_size]`), `name` (string `[batch_size]`), and for
        evaluation `encoded` (string `[batch_size]`). Running it raises `InvalidArgumentError` with the name
        of the image where one is corrupt (without `skip_corrupt`), or all are, and where a label is not of a
        class.

    Raises:
        ValueError: If a size is less than 1, the data set is empty, or `labels_offset` is not in `[0,
            num_classes)`.
    """
    _check_arguments(dataset, height, width, batch_size, num_parallel_calls, labels_offset)
    examples = dataset.examples(shuffle=is_training, seed=seed)
    examples = _decode(examples, num_parallel_calls, _corrupt_handler(dataset, skip_corrupt))
    to_label = _label_fn(dataset.num_classes, labels_offset)

    def finish(example, image_seed=None):
        result = {'image': preprocess(example['image'], height, width, seed=image_seed),
                  'label': to_label(example), 'mask': True, 'name': example['name']}
        return result if is_training else dict(result, encoded=example['encoded'])

    if is_training:
        # A seed for each image: a generator's own order would depend on which thread comes first.
        seeds = tf.data.Dataset.random(seed=seed).batch(2, drop_remainder=True)
        examples = tf.data.Dataset.zip((examples, seeds))
    examples = examples.map(finish, num_parallel_calls, deterministic=True)
    if not is_training:
        examples = examples.concatenate(_blanks(examples.element_spec, batch_size - 1))
    return examples.batch(batch_size, drop_remainder=True).prefetch(_PREFETCH)


def _check_arguments(dataset, height, width, batch_size, num_parallel_calls, labels_offset):
    sizes = {'height': height, 'width': width, 'batch_size': batch_size,
             'num_parallel_calls': num_parallel_calls}
    for key, value in sizes.items():
        if value < 1:
            raise ValueError(f'{key} must be at least 1; got {value}.')
    if dataset.num_examples == 0:
        raise ValueError(f'The split {dataset.split_name!r} of the data set {dataset.name!r} has no '
                         'examples.')
    if not 0 <= labels_offset < dataset.num_classes:
        raise ValueError(f'labels_offset must be at least 0 and less than the {dataset.num_classes} classes '
                         f'of the data set {dataset.name!r}; got {labels_offset}.')


def _decode(examples, num_parallel_calls, on_corrupt):
    """Adds `image` to the examples; `on_corrupt` makes of a stream of one what takes a corrupt one's place.

    An op that fails ends its stream. So each image is decoded in a stream of its own that drops errors: where
    it stays empty, what `on_corrupt` makes comes next. All of this is C++, and adds some 0.1 ms per image.
    """

    def decode(example):
        return dict(example, image=images.decode(example['encoded']))

    def one(example):
        single = tf.data.Dataset.from_tensors(example)
        return single.map(decode).ignore_errors().concatenate(on_corrupt(single)).take(1)

    return examples.interleave(one, cycle_length=num_parallel_calls, block_length=1,
                               num_parallel_calls=num_parallel_calls, deterministic=True)


def _corrupt_handler(dataset, skip_corrupt):
    """The function that `_decode` calls for what takes the place of a corrupt image: nothing, or an error."""
    lock = threading.Lock()
    skipped = set()

    def record(name, encoded):
        """Runs in Python, where an error keeps its text; always False."""
        name = name.decode('utf-8', 'surrogateescape')
        reason = f'Cannot decode the image {name!r}: {images.diagnose(encoded)}.'
        if skip_corrupt is None:
            raise ValueError(f'{reason} Replace or remove it, or skip such images (skip_corrupt).')
        with lock:
            if name not in skipped:
                skipped.add(name)
                skip_corrupt.append(name)
        if len(skipped) == dataset.num_examples:
            raise ValueError(f'All {len(skipped)} images of the split {dataset.split_name!r} of the data set '
                             f'{dataset.name!r} are corrupt. {reason}')
        return False

    def keep(example):
        return tf.ensure_shape(tf.numpy_function(record, [example['name'], example['encoded']], tf.bool), [])

    def handle(single):
        return single.filter(keep).map(lambda example: dict(example, image=tf.zeros([0, 0, 3], tf.uint8)))

    return handle


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


def _blanks(spec, count):
    """A stream of `count` examples of zeros, False and empty strings."""
    blank = {key: tf.zeros(value.shape, value.dtype) for key, value in spec.items()}
    return tf.data.Dataset.from_tensors(blank).repeat(count)
