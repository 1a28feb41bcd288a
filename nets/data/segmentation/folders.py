"""Lists photographs and their label images in folders."""

import logging
import os

from nets.data import image_folder, records

logger = logging.getLogger(__name__)

# Folders of photographs and of label images: that of PASCAL VOC, also as DeepLab's scripts leave it, and a plain one.
_LAYOUTS = (('JPEGImages', 'SegmentationClass'), ('JPEGImages', 'SegmentationClassRaw'), ('images', 'labels'))
_LISTS = os.path.join('ImageSets', 'Segmentation')
_SPLIT_LISTS = {'train': ('train',), 'validation': ('validation', 'val'), 'test': ('test',)}
_CLASSES_FILENAME = 'classes.txt'
_SHOWN = 5

VOC_CLASS_NAMES = (
    'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow', 'diningtable',
    'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor')


def load(dataset_dir, split_name):
    """Lists the examples of a split.

    The folder holds photographs (`*.jpg`, `*.jpeg`, `*.png`) and label images of the same names (`*.png`), either

    - as PASCAL VOC has them, in `JPEGImages` and `SegmentationClass`, with lists of names, one a line, in
      `ImageSets/Segmentation/SPLIT.txt`; `validation` also means `val`;
    - or in `images` and `labels`, maybe in folders of other names below, the same in both. Where `images` has folders
      for the splits (`train`, `validation` and so on, see `nets.data.image_folder.SPLIT_FOLDERS`), these count; else a
      hash of the name keeps one image in five for the validation, as in `nets.data.image_folder`.

    Args:
        dataset_dir: str, the folder.
        split_name: str; without lists a key of `nets.data.image_folder.SPLIT_FOLDERS`.

    Returns:
        `(names, image_paths, label_paths)`, three lists; a name is the photograph's path in the folder, with `/`.

    Raises:
        ValueError: If a folder, a list, a photograph or a label image is missing, or there are no photographs.
    """
    if not dataset_dir or not os.path.isdir(dataset_dir):
        raise ValueError('dataset_dir must be the folder with the photographs and label images; got '
                         f'{dataset_dir!r}, which is no folder.')
    image_dir, label_dir = _layout(dataset_dir)
    images, labels = _files(os.path.join(dataset_dir, image_dir), image_folder.EXTENSIONS), _files(
        os.path.join(dataset_dir, label_dir), ('.png',))
    if os.path.isdir(os.path.join(dataset_dir, _LISTS)):
        stems = _listed(dataset_dir, split_name, image_dir, images)
    else:
        stems = _split(os.path.join(dataset_dir, image_dir), split_name, sorted(images))
        idle = sorted(set(labels) - set(images))
        if idle:
            logger.warning('%d label images in %s have no photograph, such as %s.', len(idle),
                           os.path.join(dataset_dir, label_dir), labels[idle[0]])
    missing = [os.path.join(label_dir, stem + '.png') for stem in stems if stem not in labels]
    if missing:
        raise ValueError(f'{len(missing)} of the {len(stems)} photographs of the split {split_name!r} in '
                         f'{dataset_dir!r} have no label image. These are missing: {_some(missing)}.')
    names = ['/'.join([image_dir, images[stem]]) for stem in stems]
    return (names, [os.path.join(dataset_dir, *name.split('/')) for name in names],
            [os.path.join(dataset_dir, label_dir, *labels[stem].split('/')) for stem in stems])


def class_names(dataset_dir):
    """The names of the classes that a folder gives, a tuple of str; None if it gives none.

    They are those of `labels.txt`, with lines `ID:NAME`, or of `classes.txt`, with a name a line, in the order of the
    numbers from 0 on; else those of PASCAL VOC where the folder has VOC's lists.

    Raises:
        ValueError: If a file holds no names.
    """
    if os.path.exists(os.path.join(dataset_dir, records.LABELS_FILENAME)):
        return records.read_labels(dataset_dir)
    path = os.path.join(dataset_dir, _CLASSES_FILENAME)
    if os.path.exists(path):
        names = tuple(_lines(path))
        if not names:
            raise ValueError(f'{path!r} must have the name of a class on each line; it is empty.')
        return names
    return VOC_CLASS_NAMES if os.path.isdir(os.path.join(dataset_dir, _LISTS)) else None


def _layout(dataset_dir):
    for pair in _LAYOUTS:
        if all(os.path.isdir(os.path.join(dataset_dir, name)) for name in pair):
            return pair
    allowed = ', or '.join(' and '.join(pair) for pair in _LAYOUTS)
    found = sorted(entry.name for entry in os.scandir(dataset_dir) if entry.is_dir())
    raise ValueError(f'{dataset_dir!r} must hold the folders {allowed}; it holds {_some(found) or "no folders"}.')


def _files(folder, extensions):
    """The paths of the files below a folder, from the folder on and with `/`, by the same without extension."""
    found = {}
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        below = os.path.relpath(parent, folder).replace(os.sep, '/')
        for file in sorted(files):
            stem, extension = os.path.splitext(file)
            if extension.lower() in extensions and not file.startswith('.'):
                path = file if below == '.' else f'{below}/{file}'
                other = found.setdefault(path[:-len(extension)], path)
                if other != path:
                    raise ValueError(f'{folder!r} holds both {other} and {path}, which would have the same label '
                                     'image. Rename or remove one.')
    if not found:
        raise ValueError(f'{folder!r} must hold images ({", ".join("*" + end for end in extensions)}); it holds none.')
    return found


def _listed(dataset_dir, split_name, image_dir, images):
    """The names that a list of VOC's has."""
    folder = os.path.join(dataset_dir, _LISTS)
    paths = [os.path.join(folder, name + '.txt') for name in _SPLIT_LISTS.get(split_name, (split_name,))]
    path = next((path for path in paths if os.path.exists(path)), None)
    if path is None:
        found = sorted(name[:-len('.txt')] for name in os.listdir(folder) if name.endswith('.txt'))
        raise ValueError(f'{folder!r} has no list of the split {split_name!r}; it has lists of '
                         f'{", ".join(found) or "none"}.')
    stems = _lines(path)
    if not stems:
        raise ValueError(f'{path!r} must have the name of an image on each line; it is empty.')
    missing = [stem for stem in stems if stem not in images]
    if missing:
        raise ValueError(f'{len(missing)} of the {len(stems)} images that {path!r} lists are not in '
                         f'{os.path.join(dataset_dir, image_dir)!r}: {_some(missing)}. A line is the name of a file '
                         'without its extension.')
    return stems


def _split(image_dir, split_name, stems):
    """Those of the images that are of a split."""
    if split_name not in image_folder.SPLIT_FOLDERS:
        raise ValueError(f'split_name must be one of {", ".join(image_folder.SPLIT_FOLDERS)} in a folder without lists '
                         f'of the splits; got {split_name!r}.')
    tops = {stem.partition('/')[0] for stem in stems if '/' in stem}
    given = sorted(tops & {name for names in image_folder.SPLIT_FOLDERS.values() for name in names})
    if given:
        wanted = [name for name in image_folder.SPLIT_FOLDERS[split_name] if name in given]
        if not wanted:
            raise ValueError(f'{image_dir!r} has no folder for the split {split_name!r}; it has {", ".join(given)}.')
        return [stem for stem in stems if stem.startswith(wanted[0] + '/')]
    parts = image_folder.split_files(stems)
    chosen = parts[split_name != 'train']
    if not chosen:
        raise ValueError(f'There are no images for the split {split_name!r} in {image_dir!r}: the only one is for '
                         'training. Add images.')
    return chosen


def _lines(path):
    with open(path, encoding='utf-8-sig') as file:
        return [line.strip() for line in file if line.strip()]


def _some(names):
    """A few of many names, as text."""
    return ', '.join(names[:_SHOWN]) + (f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else '')
