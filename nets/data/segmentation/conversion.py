"""A data set for segmentation into TFRecord files of DeepLab's schema."""

import glob
import os

import tensorflow.compat.v1 as tf

from nets import error_text
from nets.data import images, records
from nets.data.segmentation import label_images, pipeline

# As DeepLab's scripts name them.
_FORMATS = {'jpg': 'jpeg'}


def convert(dataset, dataset_dir, num_shards=1, overwrite=False, on_progress=None):
    """Writes a split to `SPLIT-00000-of-00005.tfrecord` and so on, with `labels.txt`.

    Every example is checked. The images' files are kept as they are; the labels become grey levels, without the palette
    that DeepLab's own code cannot read. The order is that of the data set, so its batches are the same. The files
    appear under their names once all of them are complete.

    Args:
        dataset: a `nets.data.segmentation.datasets.Dataset`.
        dataset_dir: str, the folder to write to; made where it is missing.
        num_shards: int, the number of files, at least 1 and at most that of the examples.
        overwrite: bool, whether to replace files of that split.
        on_progress: a function that is called with the number of examples that are done and that of all.

    Returns:
        The paths of the files, a list of str.

    Raises:
        ValueError: If `num_shards` is not allowed, there are such files or other classes already, or an example cannot
            be read or is not as it should be. Nothing is written then.
    """
    if not 1 <= num_shards <= dataset.num_examples:
        raise ValueError(f'num_shards must be from 1 to {dataset.num_examples}, the number of the examples; got '
                         f'{num_shards}.')
    pattern = os.path.join(glob.escape(dataset_dir), f'{glob.escape(dataset.split_name)}-?????-of-?????')
    present = sorted(glob.glob(pattern) + glob.glob(pattern + '.tfrecord'))
    if present and not overwrite:
        raise ValueError(f'There are already {len(present)} files of the split {dataset.split_name!r} in '
                         f'{dataset_dir!r}, such as {os.path.basename(present[0])}. Replace them by overwrite, or '
                         'choose another folder.')
    _check_classes(dataset, dataset_dir)
    os.makedirs(dataset_dir, exist_ok=True)
    paths = [os.path.join(dataset_dir, f'{dataset.split_name}-{shard:05d}-of-{num_shards:05d}.tfrecord')
             for shard in range(num_shards)]
    records.write_files(_examples(dataset, on_progress), dataset.num_examples, paths)
    for path in set(present) - set(paths):
        os.remove(path)
    records.write_labels(dataset_dir, dataset.class_names)
    return paths


def make_example(encoded, image_format, height, width, labels, filename):
    """Makes a record.

    Args:
        encoded: bytes, the image's file.
        image_format: str, `'jpg'` or `'png'`.
        height, width: ints, in pixels.
        labels: int array `[height, width]`.
        filename: str or bytes that identifies the image.

    Returns:
        A `tf.train.Example`.
    """
    return records.pack({
        'image/encoded': encoded,
        'image/filename': filename,
        'image/format': _FORMATS.get(image_format, image_format),
        'image/height': height,
        'image/width': width,
        'image/channels': 3,
        'image/segmentation/class/encoded': label_images.encode(labels),
        'image/segmentation/class/format': 'png',
    })


def _check_classes(dataset, dataset_dir):
    path = os.path.join(dataset_dir, records.LABELS_FILENAME)
    if os.path.exists(path) and records.read_labels_file(path) != tuple(dataset.class_names):
        raise ValueError(f'{path!r} names other classes than the data set {dataset.name!r}. Remove it, or write to '
                         'another folder.')


def _examples(dataset, on_progress):
    checker, reader = images.Checker(), pipeline.Reader(dataset)
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = tf.data.make_one_shot_iterator(dataset.examples()).get_next()
        for done in range(dataset.num_examples):
            try:
                example = session.run(tensors)
            except tf.errors.OpError as error:
                line = error_text.first_telling_line(error.message, type(error).__name__)
                raise ValueError(f'Cannot read the example {done} of the split {dataset.split_name!r}: {line}.'
                                 ) from error
            try:
                image_format, height, width = checker.check(example['encoded'])
                labels = label_images.decode(example['label'])
                pipeline.check(labels, (height, width), dataset)
            except ValueError:
                raise ValueError(reader.diagnose(example)) from None
            yield make_example(example['encoded'], image_format, height, width, labels, example['name'])
            if on_progress:
                on_progress(done + 1, dataset.num_examples)
