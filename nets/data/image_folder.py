"""Lists a folder of images that has one directory per class, and splits it where it is not split already."""

import hashlib
import logging
import os

logger = logging.getLogger(__name__)

EXTENSIONS = ('.jpg', '.jpeg', '.png')
HELD_OUT_FRACTION = 0.2
# Names of the folders that may hold a split, best first.
SPLIT_FOLDERS = {
    'train': ('train', 'training'),
    'validation': ('validation', 'valid', 'val', 'test', 'testing'),
    'test': ('test', 'testing', 'validation', 'valid', 'val'),
}
_ALL_SPLIT_FOLDERS = frozenset(name for names in SPLIT_FOLDERS.values() for name in names)
_LAYOUT = f'one folder for each class, with its images ({", ".join("*" + end for end in EXTENSIONS)})'


def load(dataset_dir, split_name, held_out_fraction=None):
    """Lists the images of one split.

    Without folders for the splits, an image is held out when a hash of `CLASS/FILE` says so, one in five: the
    split is the same on every machine, and new images do not move old ones. Each class of two images or more
    has at least one in either part, unless nothing is held out; a single image is for training.

    Args:
        dataset_dir: the folder. It holds one folder per class, or else folders named as in `SPLIT_FOLDERS`
            that hold one folder per class.
        split_name: a key of `SPLIT_FOLDERS`. Where there is one part besides `train`, both other names mean
            it.
        held_out_fraction: float in `[0, 1)`, the part to hold out where there are no folders for the splits; None for
            one in five.

    Returns:
        `(class_names, paths, labels)`: the sorted class names, the same for every split, and for each image
        its path and the index of its class, in sorted order.

    Raises:
        ValueError: If the folder is missing or holds no images, a class is empty or has no images for
            training, there is no such split, or a fraction is given for a folder that is split already.
    """
    if split_name not in SPLIT_FOLDERS:
        raise ValueError(f'split_name must be one of {", ".join(SPLIT_FOLDERS)} for the data set '
                         f'"image_folder"; got {split_name!r}.')
    if not dataset_dir or not os.path.isdir(dataset_dir):
        raise ValueError(f'dataset_dir must be a folder that holds {_LAYOUT}; got {dataset_dir!r}, which is '
                         'no folder.')
    given = [name for name in _list_folders(dataset_dir)
             if name in _ALL_SPLIT_FOLDERS and _list_folders(os.path.join(dataset_dir, name))]
    if held_out_fraction is not None and not 0 <= held_out_fraction < 1:
        raise ValueError(f'held_out_fraction must be at least 0 and less than 1; got {held_out_fraction}.')
    if given and held_out_fraction is not None:
        raise ValueError(f'{dataset_dir!r} is split already, into {", ".join(given)}; got a held_out_fraction of '
                         f'{held_out_fraction}. Leave it out.')
    if given:
        classes, chosen = _given_split(dataset_dir, split_name, given)
    else:
        classes = _list_classes(dataset_dir)
        fraction = HELD_OUT_FRACTION if held_out_fraction is None else held_out_fraction
        chosen = {name: split_files(paths, fraction)[split_name != 'train'] for name, paths in classes.items()}
    class_names = sorted(classes)
    paths = [path for name in class_names for path in chosen.get(name, ())]
    labels = [label for label, name in enumerate(class_names) for _ in chosen.get(name, ())]
    if not paths:
        raise ValueError(f'There are no images for the split {split_name!r} in {dataset_dir!r}: each of its '
                         f'{len(classes)} classes has one image only, which is for training, or nothing is held out. '
                         'Add images.')
    return class_names, paths, labels


def split_files(paths, held_out_fraction=HELD_OUT_FRACTION):
    """Splits the images of one class.

    Args:
        paths: list of str, paths that end in `CLASS/FILE`.
        held_out_fraction: float in `[0, 1)`.

    Returns:
        `(train, held_out)`, two lists that together hold every path once, in the given order.
    """
    position = {path: _position(path) for path in paths}
    ranked = sorted(paths, key=position.get)
    count = sum(position[path] < held_out_fraction for path in paths)
    held_out = frozenset(ranked[:min(max(count, held_out_fraction > 0), len(paths) - 1)])
    return [path for path in paths if path not in held_out], [path for path in paths if path in held_out]


def _position(path):
    """A number in [0, 1) that depends on the last two parts of a path, and on nothing else."""
    key = '/'.join(path.split(os.sep)[-2:])
    return int.from_bytes(hashlib.sha256(os.fsencode(key)).digest()[:8], 'big') / 2 ** 64


def _given_split(dataset_dir, split_name, given):
    """The images of all classes by class name, of all splits and of the wanted one."""
    splits = {folder: _list_classes(os.path.join(dataset_dir, folder)) for folder in given}
    wanted = [folder for folder in SPLIT_FOLDERS[split_name] if folder in splits]
    if not wanted:
        raise ValueError(f'{dataset_dir!r} has no folder for the split {split_name!r}; it has '
                         f'{", ".join(given)}. Name it one of {", ".join(SPLIT_FOLDERS[split_name])}.')
    training = [folder for folder in SPLIT_FOLDERS['train'] if folder in splits][:1] or given
    classes = {name: paths for folder in training for name, paths in splits[folder].items()}
    unknown = sorted(set(splits[wanted[0]]) - set(classes))
    if unknown:
        raise ValueError(f'The folder {wanted[0]!r} of {dataset_dir!r} has classes that {training[0]!r} has '
                         f'not: {", ".join(unknown)}. Rename or remove them, or add images of them for '
                         'training.')
    return classes, splits[wanted[0]]


def _list_folders(folder):
    """The names of the folders in a folder, sorted, without hidden ones and those of macOS archives."""
    return sorted(entry.name for entry in os.scandir(folder)
                  if entry.is_dir() and not entry.name.startswith(('.', '__MACOSX')))


def _list_classes(folder):
    """The paths of the images in each folder of a folder, by its name."""
    names = _list_folders(folder)
    if not names:
        raise ValueError(f'{folder!r} must hold {_LAYOUT}; it holds no folders.')
    classes = {name: _list_images(os.path.join(folder, name)) for name in names}
    empty = [name for name, paths in classes.items() if not paths]
    if empty:
        raise ValueError(f'{folder!r} must hold {_LAYOUT}; there are no such images in {", ".join(empty)}. '
                         'Add images or remove these folders.')
    stray = _list_images(folder)
    if stray:
        logger.warning('%d images in %r are in no folder of a class and are left out, such as %r.', len(stray), folder,
                       os.path.basename(stray[0]))
    return classes


def _list_images(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder)
                  if name.lower().endswith(EXTENSIONS) and not name.startswith('.'))
