"""The data sets by name, and what is known of each."""

import dataclasses
import glob
import logging
import os

from nets.data import digits, image_folder, records, sources, synthetic

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One split of a data set of labelled images.

    Attributes:
        name: str, a key of `DATASETS`.
        split_name: str, such as `'train'`.
        num_classes: int; labels are in `[0, num_classes)`.
        class_names: tuple of `num_classes` str.
        source: a `nets.data.sources.Source`.
    """

    name: str
    split_name: str
    num_classes: int
    class_names: tuple
    source: sources.Source = dataclasses.field(repr=False, compare=False)

    @property
    def num_examples(self):
        """The number of examples, an int."""
        return self.source.num_examples

    def examples(self):
        """Makes a `tf.data.Dataset` of every example once and in order, still encoded.

        Returns:
            A `tf.data.Dataset` of dicts: `encoded` (string scalar, a JPEG or PNG file), `label` (int64
            scalar) and `name` (string scalar that identifies the image, such as its path).
        """
        return self.source.examples()


@dataclasses.dataclass(frozen=True)
class _Records:
    """What is known of a data set in slim's TFRecord files.

    Attributes:
        patterns: the names of the files with `%s` for the split; the first that matches a file counts.
        num_examples: dict from split name to int; empty when every split name is allowed and the files are
            counted.
        num_classes: int, or None to take it from `labels.txt`.
    """

    patterns: tuple
    num_examples: dict = dataclasses.field(default_factory=dict)
    num_classes: int | None = None


def _load_digits(name, split_name, dataset_dir, file_pattern):
    del dataset_dir, file_pattern
    held_out = {'train': False, 'test': True, 'validation': True}
    _check_split(name, split_name, held_out)
    names, labels, encoded = digits.load(held_out[split_name])
    return Dataset(name, split_name, len(digits.CLASS_NAMES), digits.CLASS_NAMES,
                   sources.from_table(names, labels, encoded))


def _load_image_folder(name, split_name, dataset_dir, file_pattern):
    del file_pattern
    class_names, paths, labels = image_folder.load(dataset_dir, split_name)
    return Dataset(name, split_name, len(class_names), tuple(class_names),
                   sources.from_table(paths, labels))


def _load_synthetic(name, split_name, dataset_dir, file_pattern):
    del dataset_dir, file_pattern
    _check_split(name, split_name, synthetic.NUM_EXAMPLES)
    return Dataset(name, split_name, synthetic.NUM_CLASSES, tuple(map(str, range(synthetic.NUM_CLASSES))),
                   synthetic.source(split_name))


def _records_loader(known):
    """Makes the loader of a data set in TFRecord files."""

    def load(name, split_name, dataset_dir, file_pattern):
        if known.num_examples:
            _check_split(name, split_name, known.num_examples)
        if not dataset_dir or not os.path.isdir(dataset_dir):
            raise ValueError(f'dataset_dir must be the folder with the TFRecord files of the data set '
                             f'{name!r}; got {dataset_dir!r}, which is no folder.')
        paths = find_records(dataset_dir, split_name, [file_pattern] if file_pattern else known.patterns)
        if not file_pattern:
            records.check_shards(paths)
        class_names = _class_names(name, dataset_dir, known.num_classes)
        source = sources.from_records(paths)
        expected = known.num_examples.get(split_name, source.num_examples)
        if source.num_examples != expected and not file_pattern:
            logger.warning('The split %r of %r has %d examples in %s; the published one has %d.', split_name, name,
                           source.num_examples, dataset_dir, expected)
        return Dataset(name, split_name, len(class_names), class_names, source)

    return load


def find_records(dataset_dir, split_name, patterns):
    """Finds the TFRecord files of a split.

    Args:
        dataset_dir: str, the folder.
        split_name: str.
        patterns: the names of the files, with `%s` for the split; the first that matches a file counts.

    Returns:
        A sorted list of paths.

    Raises:
        ValueError: If there are none.
    """
    patterns = [pattern % split_name if '%s' in pattern else pattern for pattern in patterns]
    for pattern in patterns:
        paths = sorted(glob.glob(os.path.join(glob.escape(dataset_dir), pattern)))
        if paths:
            return paths
    raise ValueError(f'{dataset_dir!r} holds no TFRecord files of the split {split_name!r}; looked for '
                     f'{", ".join(patterns)}. Check the split and the folder, or give a file_pattern with '
                     '%s in place of the split.')


def _class_names(name, dataset_dir, num_classes):
    if os.path.exists(os.path.join(dataset_dir, records.LABELS_FILENAME)):
        class_names = records.read_labels(dataset_dir)
    elif num_classes is not None:
        return tuple(str(label) for label in range(num_classes))
    else:
        raise ValueError(f'The data set {name!r} needs a file {records.LABELS_FILENAME} in {dataset_dir!r} '
                         'with a line ID:NAME for each class; there is none.')
    if num_classes not in (None, len(class_names)):
        raise ValueError(f'The data set {name!r} has {num_classes} classes; {records.LABELS_FILENAME} in '
                         f'{dataset_dir!r} names {len(class_names)}. The data set "tfrecords" takes any '
                         'number.')
    return class_names


def _check_split(name, split_name, allowed):
    if split_name not in allowed:
        raise ValueError(f'split_name must be one of {", ".join(allowed)} for the data set {name!r}; got '
                         f'{split_name!r}.')


# Sizes and file names: slim's converters and data set descriptions.
_RECORDS = {
    'tfrecords': _Records(('*_%s_*.tfrecord', '*_%s.tfrecord', '%s-*', '%s.tfrecord')),
    'flowers': _Records(('flowers_%s_*.tfrecord',), {'train': 3320, 'validation': 350}, 5),
    'cifar10': _Records(('cifar10_%s.tfrecord',), {'train': 50000, 'test': 10000}, 10),
    'mnist': _Records(('mnist_%s.tfrecord',), {'train': 60000, 'test': 10000}, 10),
    'imagenet': _Records(('%s-*',), {'train': 1281167, 'validation': 50000}, 1001),
    'visualwakewords': _Records(('%s.record-*',), {'train': 82783, 'val': 40504}, 2),
}

DATASETS = {
    'digits': _load_digits,
    'image_folder': _load_image_folder,
    **{name: _records_loader(known) for name, known in _RECORDS.items()},
    'synthetic': _load_synthetic,
}


def get_dataset(name, split_name, dataset_dir=None, file_pattern=None):
    """Looks up one split of a data set.

    Args:
        name: str, a key of `DATASETS`.
        split_name: str, such as `'train'`, `'validation'` or `'test'`.
        dataset_dir: str, the folder of the data; `digits` and `synthetic` need none.
        file_pattern: str, for data sets in TFRecord files: the names of the files in `dataset_dir`, with `%s`
            in place of the split. The records are counted then, and missing shards are no error.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: If the name or the split is unknown, or the data is not there or not as it should be.
        ImportError: If `digits` is asked for and scikit-learn is not installed.
    """
    if name not in DATASETS:
        raise ValueError(f'The name of a data set must be one of {", ".join(DATASETS)}; got {name!r}.')
    return DATASETS[name](name, split_name, dataset_dir, file_pattern)
