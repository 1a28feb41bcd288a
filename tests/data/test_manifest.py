"""Data sets compared with their manifests: whatever changed is named."""

import json
import os

import pytest

from nets.data import conversion, manifest, records


@pytest.fixture
def dataset_dir(write_folder, tmp_path):
    """A folder with two splits; 12 images for training are in three files."""
    folder = write_folder({**{f'train/{"ab"[index % 2]}/{index}.png': None for index in range(12)},
                           'validation/a/x.png': None})
    output = os.fspath(tmp_path / 'out [1]')
    for split_name, num_shards in (('train', 3), ('validation', 1)):
        conversion.convert(folder, output, 'pets', split_name, num_shards, num_workers=1)
    return output


def check(dataset_dir, num_threads=2):
    return manifest.check(dataset_dir, num_threads, lambda *_: None)


def path_of(dataset_dir, index=1):
    return os.path.join(dataset_dir, f'pets_train_0000{index}-of-00003.tfrecord')


def change(path, offset, content):
    with open(path, 'r+b') as file:
        file.seek(offset)
        file.write(content)


def test_what_was_written_has_no_problems(dataset_dir):
    calls = []
    result = manifest.check(dataset_dir, 2, lambda *call: calls.append(call))
    assert result['problems'] == []
    assert (result['files'], result['records'], len(result['manifests'])) == (4, 13, 2)
    assert result['bytes'] == sum(os.path.getsize(os.path.join(dataset_dir, name))
                                  for name in os.listdir(dataset_dir) if name.endswith('tfrecord'))
    assert calls[-1] == (result['bytes'], result['bytes'])


@pytest.mark.parametrize('index', [0, 1, 3])
@pytest.mark.parametrize('part', ['length', 'checksum of the length', 'content', 'checksum of the content'])
def test_corrupt_record_is_named_by_file_number_and_byte(index, part, dataset_dir):
    path = path_of(dataset_dir)
    offsets = [*records.record_offsets(path).tolist(), os.path.getsize(path)]
    place = {'length': offsets[index] + 2, 'checksum of the length': offsets[index] + 9,
             'content': offsets[index] + 60, 'checksum of the content': offsets[index + 1] - 2}[part]
    with open(path, 'rb') as file:
        file.seek(place)
        byte = file.read(1)[0]
    change(path, place, bytes([byte ^ 64]))
    problem, = check(dataset_dir)['problems']
    assert problem.startswith(f'{path}: record {index}, at byte {offsets[index]}: ')
    assert 'corrupted record' in problem or 'truncated record' in problem


@pytest.mark.parametrize('lost', [1, 50])
def test_truncated_file_is_named(lost, dataset_dir):
    path = path_of(dataset_dir)
    last = records.record_offsets(path)[-1]
    with open(path, 'r+b') as file:
        file.truncate(os.path.getsize(path) - lost)
    problem, = check(dataset_dir)['problems']
    assert problem.startswith(f'{path}: record 3, at byte {last}: truncated record')


def test_file_cut_between_records_is_named(dataset_dir):
    path = path_of(dataset_dir)
    with open(path, 'r+b') as file:
        file.truncate(records.record_offsets(path)[-1])
    assert check(dataset_dir)['problems'] == [f'{path}: it has 3 records where 4 were written']


def test_other_sound_file_is_named(dataset_dir):
    os.replace(path_of(dataset_dir, 0), path_of(dataset_dir, 1))
    missing, other = check(dataset_dir)['problems']
    assert missing == f'{path_of(dataset_dir, 0)} is missing'
    assert other == (f'{path_of(dataset_dir, 1)}: its SHA-256 differs, though all 4 records are sound; '
                     'it is another file')


def test_other_labels_and_stray_files_are_named(dataset_dir):
    records.write_labels(dataset_dir, ['b', 'a'])
    stray = os.path.join(dataset_dir, 'pets_train_00000-of-00001.tfrecord')
    os.link(path_of(dataset_dir), stray)
    problems = check(dataset_dir)['problems']
    assert problems == [f'{dataset_dir}/labels.txt is not as it was written: its SHA-256 differs',
                        f'{stray} is not in the manifest, but would be read with the others']
    os.remove(os.path.join(dataset_dir, 'labels.txt'))
    assert f'{dataset_dir}/labels.txt is missing' in check(dataset_dir)['problems']


def test_folder_without_a_manifest_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r'holds no \*.manifest.json, which nets records writes'):
        check(os.fspath(tmp_path))


@pytest.mark.parametrize(('content', 'words'), [
    ('{', 'train.manifest.json.* is damaged'), ('[]', 'is damaged'), ('{}', 'is damaged'),
    (json.dumps({'format': 1, 'name': 'x', 'split': 'y', 'labels_sha256': '', 'shards': [{}]}), 'is damaged'),
    (json.dumps({'format': 2, 'nets': '9.9'}), 'has the format 2; 1 is known. Use the version of nets that .* 9.9')])
def test_unreadable_manifest_is_named(content, words, tmp_path):
    (tmp_path / 'x_train.manifest.json').write_text(content)
    with pytest.raises(ValueError, match=words):
        check(os.fspath(tmp_path))
