"""What is in a data set of TFRecord files: written beside it, and compared with it later.

`NAME_SPLIT.manifest.json` holds the number of examples, the seed of their order, the records, bytes and SHA-256 of each
file, the number of images of each class, and the images that were left out. The same images give the same manifest.
"""

import concurrent.futures
import glob
import json
import os

import tensorflow.compat.v1 as tf

import nets
from nets import atomic_file, error_text
from nets.data import records, shards

_SUFFIX = '.manifest.json'
_FORMAT = 1
_OF_SHARD = ('file', 'records', 'bytes', 'sha256')
# Of a TFRecord besides its content: length and two checksums.
_FRAME_BYTES = 16


def path_of(dataset_dir, name, split_name):
    """The path of the manifest of a split."""
    return os.path.join(dataset_dir, f'{name}_{split_name}{_SUFFIX}')


def write(dataset_dir, name, split_name, seed, class_names, made):
    """Writes the manifest of a split, after its files.

    Args:
        dataset_dir: str, the folder.
        name: str, the name of the data set.
        split_name: str.
        seed: int, which decided the order of the images.
        class_names: list of str.
        made: list of dicts, what `nets.data.shards.make` says of each file.

    Returns:
        The manifest, a dict.
    """
    counts = [sum(shard['classes'].get(str(label), 0) for shard in made) for label in range(len(class_names))]
    manifest = {
        'format': _FORMAT,
        'nets': nets.__version__,
        'name': name,
        'split': split_name,
        'seed': seed,
        'examples': sum(counts),
        'labels_sha256': shards.hash_file(os.path.join(dataset_dir, records.LABELS_FILENAME)),
        'classes': [{'label': label, 'name': class_name, 'examples': count}
                    for label, (class_name, count) in enumerate(zip(class_names, counts, strict=True))],
        'shards': [{key: shard[key] for key in _OF_SHARD} for shard in made],
        'left_out': [one for shard in made for one in shard['left_out']],
    }
    with atomic_file.writing(path_of(dataset_dir, name, split_name)) as file:
        json.dump(manifest, file, indent=1)
        file.write('\n')
    return manifest


def check(dataset_dir, num_threads, on_progress):
    """Compares all data sets in a folder with their manifests: every hash, and the checksums of every record.

    Args:
        dataset_dir: str, the folder.
        num_threads: int, files that are read at a time.
        on_progress: a function that is called with a number of bytes and that of all bytes, now and then.

    Returns:
        A dict: `manifests` (their paths), `files`, `records` and `bytes` (numbers, as they should be), and `problems`
        (a list of str, empty if all is as it was written).

    Raises:
        ValueError: If there is no manifest, or one cannot be read.
    """
    paths = sorted(glob.glob(os.path.join(glob.escape(dataset_dir), '*' + _SUFFIX)))
    if not paths:
        raise ValueError(f'{dataset_dir!r} holds no *{_SUFFIX}, which nets records writes; there is nothing to compare '
                         'with.')
    manifests = [_read(path) for path in paths]
    files = [shard for manifest in manifests for shard in manifest['shards']]
    total = sum(shard['bytes'] for shard in files)
    # Several sets share their labels.
    problems = list(dict.fromkeys(problem for manifest in manifests for problem in _check_set(dataset_dir, manifest)))
    done = 0
    with concurrent.futures.ThreadPoolExecutor(num_threads) as executor:
        checks = executor.map(lambda shard: _check_file(os.path.join(dataset_dir, shard['file']), shard), files)
        for shard, found in zip(files, checks, strict=True):
            problems += found
            done += shard['bytes']
            on_progress(done, total)
    return {'manifests': paths, 'files': len(files), 'records': sum(shard['records'] for shard in files),
            'bytes': total, 'problems': problems}


def _read(path):
    try:
        with open(path, encoding='utf-8') as file:
            manifest = json.load(file)
        if manifest['format'] != _FORMAT:
            raise ValueError(f'{path!r} has the format {manifest["format"]!r}; {_FORMAT} is known. Use the version of '
                             f'nets that wrote it, {manifest["nets"]}, or a later one.')
        shown = {key: manifest[key] for key in ('name', 'split', 'labels_sha256')}
        return dict(shown, shards=[{key: shard[key] for key in _OF_SHARD} for shard in manifest['shards']])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f'{path!r} is damaged: {error}. Make the data set again.') from error


def _check_set(dataset_dir, manifest):
    """Problems with labels and with files that do not belong to the data set."""
    path = os.path.join(dataset_dir, records.LABELS_FILENAME)
    if not os.path.exists(path):
        yield f'{path} is missing'
    elif shards.hash_file(path) != manifest['labels_sha256']:
        yield f'{path} is not as it was written: its SHA-256 differs'
    known = {shard['file'] for shard in manifest['shards']}
    pattern = f'{glob.escape(manifest["name"])}_{glob.escape(manifest["split"])}_*.tfrecord'
    for path in sorted(glob.glob(os.path.join(glob.escape(dataset_dir), pattern))):
        if os.path.basename(path) not in known:
            yield f'{path} is not in the manifest, but would be read with the others'


def _check_file(path, shard):
    """A list of what is wrong with a file; at most one str."""
    if not os.path.exists(path):
        return [f'{path} is missing']
    number, problem = _check_records(path)
    if problem:
        return [f'{path}: {problem}']
    if number != shard['records']:
        return [f'{path}: it has {number} records where {shard["records"]} were written']
    if shards.hash_file(path) != shard['sha256']:
        return [f'{path}: its SHA-256 differs, though all {number} records are sound; it is another file']
    return []


def _check_records(path):
    """The number of the sound records before the first corrupt one, and what is wrong with that one, or None."""
    number = offset = 0
    try:
        for record in tf.python_io.tf_record_iterator(path):
            number += 1
            offset += len(record) + _FRAME_BYTES
    except tf.errors.OpError as error:
        reason = error_text.first_telling_line(error.message, type(error).__name__)
        return number, f'record {number}, at byte {offset}: {reason}'
    return number, None
