"""Lists of images with their classes, from folders and from CSV files, for `nets.data.conversion`."""

import collections
import csv
import os

from nets.data import image_folder

# names: str for each image that tells it from all others, such as `cat/1.jpg`. paths: of their files. labels: ints.
# class_names: list of str in the order of the labels.
Listing = collections.namedtuple('Listing', ['names', 'paths', 'labels', 'class_names'])

_HEADER = ['path', 'label']


def read(source, split_name, held_out_fraction=None, class_names=None):
    """Lists the images of a split.

    Args:
        source: str, a folder as `nets.data.image_folder` describes it, or a CSV file with a line `path,label` for each
            image of the split, maybe after a line with these two words. Paths are relative to the file's folder. Labels
            are numbers, if all are and `class_names` is not given or has no such names, or else names of classes.
        split_name: str; of a folder a key of `image_folder.SPLIT_FOLDERS`.
        held_out_fraction: see `image_folder.load`; None for a CSV file.
        class_names: sequence of str in the order of the labels; None for those of `source`, sorted.

    Returns:
        A `Listing`.

    Raises:
        ValueError: If there are no images, something is not as it should be, or a class is unknown.
    """
    if os.path.isfile(source):
        if held_out_fraction is not None:
            raise ValueError(f'The CSV file {source!r} names the images of one split; got a held_out_fraction of '
                             f'{held_out_fraction}. Leave it out.')
        names, texts = _read_csv(source)
        root = os.path.dirname(source)
        labels, class_names = _number(texts, class_names, source)
        return Listing(names, [os.path.join(root, name) for name in names], labels, class_names)
    if not os.path.isdir(source):
        raise ValueError(f'The images must be a folder or a CSV file; there is no {source!r}.')
    found, paths, labels = image_folder.load(source, split_name, held_out_fraction)
    names = [os.path.relpath(path, source).replace(os.sep, '/') for path in paths]
    numbers = _by_name(found, class_names or found, source)
    return Listing(names, paths, [numbers[label] for label in labels], list(class_names or found))


def _read_csv(path):
    """The two columns of a file, without a header."""
    rows, first = {}, {}
    with open(path, newline='', encoding='utf-8-sig', errors='surrogateescape') as file:
        reader = csv.reader(file)
        for row in reader:
            if not row or (not rows and [cell.strip().lower() for cell in row] == _HEADER):
                continue
            if len(row) != 2 or not row[0] or not row[1].strip():
                raise ValueError(f'Line {reader.line_num} of {path!r} must be PATH,LABEL; got {",".join(row)!r}.')
            name, label = row[0], row[1].strip()
            if rows.setdefault(name, label) != label:
                raise ValueError(f'Line {reader.line_num} of {path!r} gives the image {name!r} the label {label!r}, '
                                 f'and line {first[name]} {rows[name]!r}. Keep one of them.')
            if name in first:
                raise ValueError(f'Line {reader.line_num} of {path!r} names the image {name!r} again, after line '
                                 f'{first[name]}. Remove one of them.')
            first[name] = reader.line_num
    if not rows:
        raise ValueError(f'{path!r} must have a line PATH,LABEL for each image; it has none.')
    return list(rows), list(rows.values())


def _number(texts, class_names, source):
    """The labels of texts, as ints, and the names of all classes."""
    known = set(class_names or ())
    if all(text.isdecimal() for text in texts) and not known.issuperset(texts):
        labels = [int(text) for text in texts]
        class_names = list(class_names or map(str, range(max(labels) + 1)))
        if max(labels) >= len(class_names):
            raise ValueError(f'The labels of {source!r} go up to {max(labels)}; there are {len(class_names)} classes, '
                             'numbered from 0. Name a file with more.')
        return labels, class_names
    class_names = list(class_names or sorted(set(texts)))
    found = sorted(set(texts))
    numbers = dict(zip(found, _by_name(found, class_names, source), strict=True))
    return [numbers[text] for text in texts], class_names


def _by_name(found, class_names, source):
    """The number of each class in a list of all."""
    counts = collections.Counter(class_names)
    unknown = [name for name in found if counts[name] != 1]
    if unknown:
        raise ValueError(f'{source!r} has classes that are not, or not only once, among the {len(class_names)} known '
                         f'ones: {", ".join(unknown[:10])}. Convert the split that has all classes first, or name a '
                         'file of all classes by --labels.')
    numbers = {name: number for number, name in enumerate(class_names)}
    return [numbers[name] for name in found]
