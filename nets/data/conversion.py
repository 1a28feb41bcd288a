"""Images into TFRecord files of slim's schema, in a run that may be killed and started again.

Until all files are complete they are in `NAME_SPLIT.partial`, a folder in that of the data set. The same call goes on
with those that are there.
"""

import contextlib
import glob
import os
import re
import shutil

import numpy as np

from nets import cores
from nets.data import listing, manifest, records, shard_workers, shards

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Images of a file, unless the number of files is given: as ImageNet has it.
_IMAGES_PER_SHARD = 1250
_MAX_SHARDS = 99999
# A process takes as long to import TensorFlow as it does to check about that many images.
_IMAGES_PER_WORKER = 2000
_NAME = re.compile(r'[\w.-]+')
_SPLIT_NAME = re.compile(r'[A-Za-z0-9.-]+')
# In the partial folder: its files have begun to replace those of the data set.
_PUBLISHING = 'publishing'


def convert(source, dataset_dir, name=None, split_name='train', num_shards=None, num_workers=None, seed=0,
            held_out_fraction=None, labels_path=None, skip_corrupt=False, overwrite=False, on_progress=None,
            prepare_worker=None):
    """Writes the images of a split to TFRecord files, with `labels.txt` and a manifest.

    Every image is decoded once, and its file's bytes are kept as they are. The order is a shuffle that `seed` decides.
    The same images, seed and number of files give the same bytes, whatever the number of workers.

    Args:
        source: str, a folder or a CSV file; see `nets.data.listing.read`.
        dataset_dir: str, the folder to write to; made where it is missing.
        name: str, the name of the data set; None for that of `source`.
        split_name: str, such as `'train'`.
        num_shards: int, the number of files; None for one for each 1,250 images.
        num_workers: int, the number of processes; None for as many as there are cores, and as it pays to start.
        seed: int, at least 0.
        held_out_fraction: see `nets.data.image_folder.load`.
        labels_path: str, a file like `labels.txt` with all classes; None for that in `dataset_dir`, or the classes of
            `source` where there is none.
        skip_corrupt: bool, whether to leave out images that cannot be decoded. Otherwise nothing but files without any
            such image is made, and none of them gets into the data set.
        overwrite: bool, whether to replace files of that name and split.
        on_progress: a function that is called with the number of images that are done and that of all, now and then.
        prepare_worker: see `nets.data.shard_workers.make_all`.

    Returns:
        A dict: `manifest` (its path; None if there are corrupt images), `examples`, `classes` (number), `shards`
        (number), `shards_kept` (how many an earlier run had made), `corrupt` (a list of `[name, reason]`), `formats`
        (number of records by format).

    Raises:
        ValueError: If an argument is wrong, something is unknown, or there are such files already.
        OSError: If something cannot be read or written. Finished files stay for the next run.
    """
    name = name or re.sub(r'[^\w.-]', '_', os.path.splitext(os.path.basename(os.path.abspath(source)))[0])
    _check(name, split_name, num_shards, num_workers, seed)
    images = listing.read(source, split_name, held_out_fraction, _known_classes(dataset_dir, labels_path))
    count = len(images.names)
    num_shards = num_shards or -(-count // _IMAGES_PER_SHARD)
    num_workers = num_workers or max(1, min(cores.count(), count // _IMAGES_PER_WORKER))
    if num_shards > min(count, _MAX_SHARDS):
        raise ValueError(f'The number of shards must be at most {_MAX_SHARDS} and at most that of the images, {count}; '
                         f'got {num_shards}.')
    with _partial_folder(dataset_dir, name, split_name, overwrite) as partial:
        made = shard_workers.make_all(
            _plan(images, dataset_dir, partial, name, split_name, num_shards, seed, skip_corrupt), num_workers,
            lambda done: on_progress and on_progress(done, count), prepare_worker)
        corrupt = sorted(one for shard in made for one in shard['left_out'])
        if len(corrupt) == count:
            raise ValueError(f'None of the {count} images can be decoded. The first is {corrupt[0][0]!r}: '
                             f'{corrupt[0][1]}.')
        complete = not corrupt or skip_corrupt
        if complete:
            _publish(partial, dataset_dir, name, split_name, seed, images.class_names, made)
    formats = {key: sum(shard['formats'].get(key, 0) for shard in made)
               for key in sorted({key for shard in made for key in shard['formats']})}
    return {'manifest': manifest.path_of(dataset_dir, name, split_name) if complete else None,
            'examples': sum(shard['records'] for shard in made), 'classes': len(images.class_names),
            'shards': num_shards, 'shards_kept': sum(not shard['made'] for shard in made), 'corrupt': corrupt,
            'formats': formats}


def _check(name, split_name, num_shards, num_workers, seed):
    if not _NAME.fullmatch(name):
        raise ValueError(f'name must be of letters, digits, "_", "-" and "."; got {name!r}.')
    if not _SPLIT_NAME.fullmatch(split_name):
        raise ValueError(f'The name of a split must be of letters, digits, "-" and "."; got {split_name!r}.')
    for key, value, low in (('num_shards', num_shards, 1), ('num_workers', num_workers, 1), ('seed', seed, 0)):
        if value is not None and value < low:
            raise ValueError(f'{key} must be at least {low}; got {value}.')


def _known_classes(dataset_dir, labels_path):
    """The names of all classes, where they are known beforehand; None if they are not."""
    path = os.path.join(dataset_dir, records.LABELS_FILENAME)
    present = records.read_labels_file(path) if os.path.exists(path) else None
    given = records.read_labels_file(labels_path) if labels_path else present
    if present not in (None, given):
        raise ValueError(f'{path!r} and {labels_path!r} name different classes. Write to another folder, or '
                         'remove the first.')
    return given


def _plan(images, dataset_dir, partial, name, split_name, num_shards, seed, skip_corrupt):
    """The shards, a list of `shards.Shard`."""
    order = np.random.RandomState(seed).permutation(len(images.names))
    paths = zip(*(records.shard_paths(folder, name, split_name, num_shards) for folder in (partial, dataset_dir)),
                strict=True)
    return [shards.Shard(path, final_path, *(tuple(column[index] for index in part) for column in images[:3]),
                         skip_corrupt)
            for (path, final_path), part in zip(paths, np.array_split(order, num_shards), strict=True)]


@contextlib.contextmanager
def _partial_folder(dataset_dir, name, split_name, overwrite):
    """Makes the folder of files that are not in the data set yet, for one process at a time; removes it if empty."""
    partial = os.path.join(dataset_dir, f'{name}_{split_name}.partial')
    if not (overwrite or os.path.exists(os.path.join(partial, _PUBLISHING))):
        present = _present(dataset_dir, name, split_name)
        if present:
            raise ValueError(f'There are already {len(present)} files of the split {split_name!r} of {name!r} in '
                             f'{dataset_dir!r}, such as {os.path.basename(present[0])}. Compare them with their '
                             'manifest by --check, replace them by --overwrite, or choose another name or folder.')
    os.makedirs(partial, exist_ok=True)
    with open(os.path.join(partial, 'lock'), 'ab') as lock:
        if fcntl:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f'Another process is writing {partial!r}; wait for it.') from None
        for path in glob.glob(os.path.join(glob.escape(partial), '*.tmp')):
            os.remove(path)
        try:
            yield partial
        finally:
            if os.path.isdir(partial) and set(os.listdir(partial)) == {'lock'}:
                shutil.rmtree(partial)


def _present(dataset_dir, name, split_name):
    """The paths of the files of a split and of its manifest, those that are there, sorted."""
    prefix = os.path.join(glob.escape(dataset_dir), f'{name}_{split_name}')
    digits = '[0-9]' * 5
    return sorted(glob.glob(f'{prefix}_{digits}-of-{digits}.tfrecord')
                  + glob.glob(glob.escape(manifest.path_of(dataset_dir, name, split_name))))


def _publish(partial, dataset_dir, name, split_name, seed, class_names, made):
    """Moves the files from the partial folder into the data set, and removes those that were there before.

    A kill at any time leaves what is needed to do the rest.
    """
    open(os.path.join(partial, _PUBLISHING), 'wb').close()
    files = {shard['file'] for shard in made}
    for path in _present(dataset_dir, name, split_name):
        if os.path.basename(path) not in files:
            os.remove(path)
    for file in sorted(files):
        # It is not there if an earlier run moved it.
        with contextlib.suppress(FileNotFoundError):
            os.replace(os.path.join(partial, file), os.path.join(dataset_dir, file))
    if not os.path.exists(os.path.join(dataset_dir, records.LABELS_FILENAME)):
        records.write_labels(dataset_dir, class_names)
    manifest.write(dataset_dir, name, split_name, seed, class_names, made)
    shutil.rmtree(partial)
