"""The data sets for segmentation by name.

The examples of their sources (see `nets.data.sources`) are dicts of string scalars: `encoded` (a JPEG or PNG file, or
another that `nets.data.images.decode` takes), `label` (a PNG file, see `nets.data.segmentation.label_images`), `name`,
and `image_file` and `label_file`, which say in errors where the two are.
"""

import dataclasses

import tensorflow.compat.v1 as tf

from nets.data import datasets, records, sources
from nets.data.segmentation import folders, shapes

IGNORE_LABEL = 255
# Where there are so many classes that 255 is one.
_WIDE_IGNORE_LABEL = 65535

# DeepLab's schema; `image/height` and the like are not looked at.
_FEATURES = {
    'encoded': ('image/encoded', ''),
    'label': ('image/segmentation/class/encoded', ''),
    'filename': ('image/filename', ''),
}
_PATTERNS = ('%s-?????-of-?????', '%s-?????-of-?????.tfrecord', '%s.tfrecord')


@dataclasses.dataclass(frozen=True)
class Dataset(datasets.Dataset):
    """One split of a data set of photographs with a class for every pixel.

    Attributes:
        name, split_name, num_classes, class_names, source, num_examples: see `nets.data.datasets.Dataset`.
        ignore_label: int, the label of pixels that count for nothing; it may be one of the classes.
    """

    ignore_label: int = IGNORE_LABEL


def _load_voc(split_name, dataset_dir, file_pattern):
    _reject('voc', file_pattern=file_pattern)
    names, image_paths, label_paths = folders.load(dataset_dir, split_name)

    def load(row):
        return {'encoded': tf.io.read_file(row['image_file']), 'label': tf.io.read_file(row['label_file']), **row}

    columns = {'name': names, 'image_file': image_paths, 'label_file': label_paths}
    return folders.class_names(dataset_dir), sources.from_columns(
        {key: sources.strings(column) for key, column in columns.items()}, load)


def _load_records(split_name, dataset_dir, file_pattern):
    split_names = [split_name, 'val'] if split_name == 'validation' else [split_name]
    patterns = [file_pattern] if file_pattern else [pattern.replace('%s', name) for name in split_names
                                                    for pattern in _PATTERNS]
    if not dataset_dir or not tf.gfile.IsDirectory(dataset_dir):
        raise ValueError('dataset_dir must be the folder with the TFRecord files of the data set "tfrecords"; got '
                         f'{dataset_dir!r}, which is no folder.')
    paths = datasets.find_records(dataset_dir, split_name, patterns)
    if not file_pattern:
        records.check_shards(paths)
    source = sources.from_records(paths, _parse)

    def load(row):
        return dict(source.load(row), image_file=row['name'], label_file=row['name'])

    return folders.class_names(dataset_dir), dataclasses.replace(source, load=load)


def _parse(serialized):
    keys = {key: tf.FixedLenFeature([], tf.string, default) for key, default in _FEATURES.values()}
    parsed = tf.parse_single_example(serialized, keys)
    return {name: parsed[key] for name, (key, _) in _FEATURES.items()}


def _load_shapes(split_name, dataset_dir, file_pattern, **options):
    _reject('shapes', dataset_dir=dataset_dir, file_pattern=file_pattern)
    if split_name not in shapes.NUM_EXAMPLES:
        raise ValueError(f'split_name must be one of {", ".join(shapes.NUM_EXAMPLES)} for the data set "shapes"; got '
                         f'{split_name!r}.')
    return shapes.CLASS_NAMES, shapes.source(split_name, **options)


def _reject(name, **arguments):
    for key, value in arguments.items():
        if value:
            raise ValueError(f'The data set {name!r} takes no {key}; got {value!r}.')


DATASETS = {'shapes': _load_shapes, 'voc': _load_voc, 'tfrecords': _load_records}


def get_dataset(name, split_name, dataset_dir=None, file_pattern=None, num_classes=None, ignore_label=None, **options):
    """Looks up one split of a data set.

    Args:
        name: str: `'shapes'`, which needs no files (see `nets.data.segmentation.shapes`); `'voc'`, folders (see
            `nets.data.segmentation.folders`); `'tfrecords'`, files named `SPLIT-00000-of-00005`, maybe with
            `.tfrecord`, or `SPLIT.tfrecord`, with records as DeepLab's scripts write them
            (https://github.com/tensorflow/models/blob/master/research/deeplab/datasets/build_data.py).
        split_name: str, such as `'train'`, `'validation'` (which also finds `val`) or `'trainval'`.
        dataset_dir: str, the folder of the data.
        file_pattern: str, for `tfrecords`: the names of the files, with `%s` in place of the split. Missing shards are
            no error then.
        num_classes: int; None for as many as the data names. If it names none, the classes' names are their numbers.
        ignore_label: int from 0 to 65,535; None for 255, or 65,535 where there are more than 255 classes.
        **options: for `shapes`: `num_examples`, `size` and `seed`; see `nets.data.segmentation.shapes.source`.

    Returns:
        A `Dataset`.

    Raises:
        ValueError: If a name or an argument is not allowed, or the data is not there or not as it should be.
        ImportError: If `shapes` is asked for and scikit-learn is not installed.
    """
    if name not in DATASETS:
        raise ValueError(f'The name of a data set for segmentation must be one of {", ".join(DATASETS)}; got {name!r}.')
    if options and name != 'shapes':
        raise ValueError(f'The data set {name!r} takes no {", ".join(options)}; "shapes" does.')
    class_names, source = DATASETS[name](split_name, dataset_dir, file_pattern, **options)
    if class_names is None and num_classes is None:
        raise ValueError(f'The classes of {dataset_dir!r} are not known. Write their names to a file '
                         f'{records.LABELS_FILENAME} in it, a line ID:NAME for each, or give num_classes.')
    if num_classes is not None and not 1 <= num_classes <= _WIDE_IGNORE_LABEL:
        raise ValueError(f'num_classes must be from 1 to {_WIDE_IGNORE_LABEL}; got {num_classes}.')
    if class_names is None:
        class_names = tuple(str(number) for number in range(num_classes))
    if num_classes not in (None, len(class_names)):
        raise ValueError(f'num_classes must be the number of the classes that {dataset_dir or name!r} names, '
                         f'{len(class_names)}; got {num_classes}.')
    if ignore_label is None:
        ignore_label = IGNORE_LABEL if len(class_names) <= IGNORE_LABEL else _WIDE_IGNORE_LABEL
    if not 0 <= ignore_label <= _WIDE_IGNORE_LABEL:
        raise ValueError(f'ignore_label must be from 0 to {_WIDE_IGNORE_LABEL}; got {ignore_label}.')
    return Dataset(name, split_name, len(class_names), class_names, source, ignore_label)
