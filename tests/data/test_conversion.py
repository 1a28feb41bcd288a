"""Images into TFRecord files: what they hold, who can read them, and what is left after a run that did not end."""

import hashlib
import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from nets.data import conversion, datasets, image_folder, manifest, records, shards


@pytest.fixture
def folder(write_folder):
    """A folder of 23 images of three classes for training and two for validation, of several formats."""
    files = {f'train/{"abc"[index % 3]}/{index:02d}.{"png" if index % 5 == 0 else "jpg"}': None for index in range(23)}
    return write_folder({**files, 'validation/a/x.jpg': None, 'validation/c/y.jpg': None})


def contents_of(folder):
    """The bytes of all files of a folder, by their names."""
    contents = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), 'rb') as file:
            contents[name] = file.read()
    return contents


def convert(folder, output, **options):
    options = {'name': 'pets', 'num_shards': 4, 'num_workers': 1, **options}
    return conversion.convert(folder, os.fspath(output), **options)


def read_manifest(output, split_name='train'):
    with open(manifest.path_of(output, 'pets', split_name), encoding='utf-8') as file:
        return json.load(file)


def test_records_hold_every_image_once_with_its_class(folder, tmp_path):
    output = tmp_path / 'out'
    result = convert(folder, output)
    names = [f'pets_train_0000{index}-of-00004.tfrecord' for index in range(4)]
    assert sorted(os.listdir(output)) == ['labels.txt', 'pets_train.manifest.json', *names]
    assert (output / 'labels.txt').read_text() == '0:a\n1:b\n2:c\n'
    found = {}
    for name in names:
        for record in tf.python_io.tf_record_iterator(str(output / name)):
            feature = tf.train.Example.FromString(record).features.feature
            filename = feature['image/filename'].bytes_list.value[0].decode()
            with open(os.path.join(folder, filename), 'rb') as file:
                assert feature['image/encoded'].bytes_list.value[0] == file.read()
            with Image.open(os.path.join(folder, filename)) as image:
                width, height = image.size
            values = [feature[key].int64_list.value[0] for key in ('image/height', 'image/width', 'image/class/label')]
            assert values == [height, width, 'abc'.index(filename.split('/')[1])]
            assert feature['image/format'].bytes_list.value[0].decode() == filename.rsplit('.')[1]
            found[filename] = values[2]
    _, paths, labels = image_folder.load(folder, 'train')
    assert found == {os.path.relpath(path, folder): label for path, label in zip(paths, labels, strict=True)}
    # Not in the order of the folder.
    assert list(found) != sorted(found)
    assert {key: result[key] for key in ('examples', 'classes', 'shards', 'shards_kept', 'corrupt', 'formats')} == {
        'examples': 23, 'classes': 3, 'shards': 4, 'shards_kept': 0, 'corrupt': [], 'formats': {'jpg': 18, 'png': 5}}


def test_manifest_tells_what_is_there(folder, tmp_path):
    convert(folder, tmp_path / 'out', seed=5)
    described = read_manifest(tmp_path / 'out')
    assert [described[key] for key in ('name', 'split', 'seed', 'examples', 'left_out')] == ['pets', 'train', 5, 23, []]
    assert [tuple(each.values()) for each in described['classes']] == [(0, 'a', 8), (1, 'b', 8), (2, 'c', 7)]
    assert [shard['records'] for shard in described['shards']] == [6, 6, 6, 5]
    for shard in described['shards']:
        content = (tmp_path / 'out' / shard['file']).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (shard['bytes'], shard['sha256'])
    labels = (tmp_path / 'out' / 'labels.txt').read_bytes()
    assert described['labels_sha256'] == hashlib.sha256(labels).hexdigest()


def test_bytes_depend_on_the_images_the_seed_and_the_number_of_files_alone(folder, tmp_path):
    convert(folder, tmp_path / 'one')
    first = contents_of(tmp_path / 'one')
    os.rename(folder, folder + '_moved')
    convert(folder + '_moved', tmp_path / 'two', num_workers=2)
    assert contents_of(tmp_path / 'two') == first
    convert(folder + '_moved', tmp_path / 'three', seed=1)
    other = contents_of(tmp_path / 'three')
    assert set(other) == set(first)
    assert other['pets_train_00000-of-00004.tfrecord'] != first['pets_train_00000-of-00004.tfrecord']


def test_our_pipeline_reads_both_splits(folder, tmp_path, collect):
    for split_name, count, num_shards in (('train', 23, 4), ('validation', 2, 1)):
        convert(folder, tmp_path / 'out', split_name=split_name, num_shards=num_shards)
        dataset = datasets.get_dataset('tfrecords', split_name, os.fspath(tmp_path / 'out'))
        assert (dataset.num_examples, dataset.class_names) == (count, ('a', 'b', 'c'))
        examples = collect(dataset.examples())
        assert {example['name'].decode().split('/')[0] for example in examples} == {split_name}
        for example in examples:
            assert dataset.class_names[example['label']] == example['name'].decode().split('/')[1]


def test_slim_reads_the_records(folder, tmp_path):
    """With its own data set, reader and decoder, as its flowers are read."""
    pytest.importorskip('nets.slim_compat')
    import tf_slim as slim

    convert(folder, tmp_path / 'out')
    decoder = slim.tfexample_decoder.TFExampleDecoder(
        {'image/encoded': tf.FixedLenFeature([], tf.string, ''),
         'image/format': tf.FixedLenFeature([], tf.string, 'png'),
         'image/class/label': tf.FixedLenFeature([], tf.int64, 0),
         'image/filename': tf.FixedLenFeature([], tf.string, '')},
        {'image': slim.tfexample_decoder.Image(), 'label': slim.tfexample_decoder.Tensor('image/class/label'),
         'filename': slim.tfexample_decoder.Tensor('image/filename')})
    dataset = slim.dataset.Dataset(str(tmp_path / 'out' / 'pets_train_*.tfrecord'), tf.TFRecordReader, decoder, 23,
                                   {'image': 'an image', 'label': 'its class', 'filename': 'its name'}, num_classes=3)
    provider = slim.dataset_data_provider.DatasetDataProvider(dataset, num_epochs=1, shuffle=False)
    tensors = provider.get(['image', 'label', 'filename'])
    found = {}
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        coordinator = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coordinator)
        while True:
            try:
                image, label, filename = session.run(tensors)
            except tf.errors.OutOfRangeError:
                break
            path = os.path.join(folder, filename.decode())
            with Image.open(path) as opened:
                difference = np.abs(image.astype(int) - np.asarray(opened.convert('RGB')))
            # Pillow decodes JPEG by another method.
            assert difference.max() <= (0 if path.endswith('png') else 6)
            found[filename.decode()] = int(label)
        coordinator.request_stop()
        coordinator.join(threads)
    _, paths, labels = image_folder.load(folder, 'train')
    assert found == {os.path.relpath(path, folder): label for path, label in zip(paths, labels, strict=True)}


@pytest.mark.parametrize('kind', ['GIF', 'BMP', 'CMYK'])
def test_other_images_are_kept_as_they_are(kind, write_folder, tmp_path, photo, encode, collect):
    image = Image.fromarray(photo(20, 24))
    encoded = encode(image.convert('CMYK'), 'JPEG') if kind == 'CMYK' else encode(image, kind)
    folder = write_folder({'train/a/1.jpg': encoded})
    result = convert(folder, tmp_path / 'out', num_shards=1)
    assert result['formats'] == {'jpg' if kind == 'CMYK' else kind.lower(): 1}
    example, = collect(datasets.get_dataset('tfrecords', 'train', os.fspath(tmp_path / 'out')).examples())
    assert example['encoded'] == encoded


@pytest.fixture
def corrupt_folder(folder):
    """The folder with two images cut and one gone, as a CSV file knows it; `(csv, names of these)`."""
    _, paths, labels = image_folder.load(folder, 'train')
    bad = [paths[index] for index in (2, 9, 17)]
    with open(bad[0], 'r+b') as file:
        file.truncate(100)
    with open(bad[1], 'w'):
        pass
    os.remove(bad[2])
    path = os.path.join(folder, 'list.csv')
    with open(path, 'w', encoding='utf-8') as file:
        file.writelines(f'{os.path.relpath(path, folder)},{"abc"[label]}\n'
                        for path, label in zip(paths, labels, strict=True))
    return path, sorted(os.path.relpath(path, folder) for path in bad)


def test_corrupt_images_are_named_and_nothing_gets_into_the_data_set(corrupt_folder, tmp_path):
    path, bad = corrupt_folder
    result = convert(path, tmp_path / 'out')
    assert result['manifest'] is None
    assert [name for name, _ in result['corrupt']] == bad
    reasons = ' '.join(reason for _, reason in result['corrupt'])
    for words in ('damaged or truncated', 'it is empty', 'it cannot be read: No such file'):
        assert words in reasons
    assert os.listdir(tmp_path / 'out') == ['pets_train.partial']


def test_skipped_images_are_left_out_and_only_their_shards_made_again(corrupt_folder, tmp_path, collect):
    path, bad = corrupt_folder
    convert(path, tmp_path / 'out', num_shards=8)
    result = convert(path, tmp_path / 'out', num_shards=8, skip_corrupt=True)
    assert result['shards_kept'] >= 5
    assert ([name for name, _ in result['corrupt']], result['examples']) == (bad, 20)
    described = read_manifest(tmp_path / 'out')
    assert sorted(name for name, _ in described['left_out']) == bad
    assert described['examples'] == sum(shard['records'] for shard in described['shards']) == 20
    examples = collect(datasets.get_dataset('tfrecords', 'train', os.fspath(tmp_path / 'out')).examples())
    assert len(examples) == 20
    assert not {example['name'].decode() for example in examples} & set(bad)


def test_mended_images_have_their_shards_made_again(corrupt_folder, tmp_path, photo, encode):
    path, bad = corrupt_folder
    convert(path, tmp_path / 'out', num_shards=8)
    for name in bad:
        with open(os.path.join(os.path.dirname(path), name), 'wb') as file:
            file.write(encode(photo(9, 9), 'PNG'))
    result = convert(path, tmp_path / 'out', num_shards=8)
    assert result['shards_kept'] >= 5
    assert (result['corrupt'], result['examples']) == ([], 23)
    convert(path, tmp_path / 'fresh', num_shards=8)
    assert contents_of(tmp_path / 'out') == contents_of(tmp_path / 'fresh')


def test_only_corrupt_images_are_an_error(write_folder, tmp_path):
    folder = write_folder({'train/a/1.jpg': b'', 'train/a/2.jpg': b'x'})
    with pytest.raises(ValueError, match="None of the 2 images can be .* The first is 'train/a/1.jpg': it is empty"):
        convert(folder, tmp_path / 'out', num_shards=1, skip_corrupt=True)
    assert os.listdir(tmp_path / 'out') == ['pets_train.partial']


class Killed(BaseException):
    """Stands for a kill: nothing that a program does at an error may be counted on."""


@pytest.fixture
def kill_at(monkeypatch):
    """A function that lets the process end at the n-th change in the file system by `os.replace` or `os.remove`."""
    def arm(number):
        count = 0

        def counted(change):
            def call(*arguments):
                nonlocal count
                count += 1
                if count > number:
                    raise Killed
                return change(*arguments)
            return call

        monkeypatch.setattr(os, 'replace', counted(os.replace))
        monkeypatch.setattr(os, 'remove', counted(os.remove))
        return lambda: monkeypatch.undo()

    return arm


@pytest.mark.parametrize('overwrite', [False, True])
def test_run_ended_at_any_change_goes_on_to_the_same_files(overwrite, folder, tmp_path, kill_at):
    convert(folder, tmp_path / 'undisturbed', seed=1)
    expected = contents_of(tmp_path / 'undisturbed')
    for number in range(40):
        output = tmp_path / f'out{number}'
        if overwrite:
            convert(folder, output, num_shards=6)
        disarm = kill_at(number)
        try:
            convert(folder, output, seed=1, overwrite=overwrite)
            ended = True
        except Killed:
            ended = False
        disarm()
        if ended:
            break
        if os.path.exists(manifest.path_of(output, 'pets', 'train')):
            # Either the old data set is still whole or the new one is.
            assert not manifest.check(os.fspath(output), 1, lambda *_: None)['problems']
        convert(folder, output, seed=1, overwrite=overwrite)
        assert contents_of(output) == expected
    # Of each of four shards the file and what is known of it, then four moves, labels and manifest, at least.
    assert number > 12


def test_shard_that_does_not_fit_what_is_known_of_it_is_made_again(folder, tmp_path, kill_at):
    convert(folder, tmp_path / 'fresh')
    disarm = kill_at(4)
    with pytest.raises(Killed):
        convert(folder, tmp_path / 'out')
    disarm()
    path = tmp_path / 'out' / 'pets_train.partial' / 'pets_train_00000-of-00004.tfrecord'
    with open(path, 'r+b') as file:
        file.truncate(200)
    assert convert(folder, tmp_path / 'out')['shards_kept'] == 1
    assert contents_of(tmp_path / 'out') == contents_of(tmp_path / 'fresh')


def test_changed_image_is_noticed_when_a_run_goes_on(folder, tmp_path, kill_at, photo, encode):
    disarm = kill_at(4)
    with pytest.raises(Killed):
        convert(folder, tmp_path / 'out')
    disarm()
    _, paths, _ = image_folder.load(folder, 'train')
    first = np.random.RandomState(0).permutation(len(paths))[0]
    with open(paths[first], 'wb') as file:
        file.write(encode(photo(30, 30), 'PNG'))
    assert convert(folder, tmp_path / 'out')['shards_kept'] == 1


def test_what_is_there_is_replaced_only_when_asked_to(folder, tmp_path):
    output = tmp_path / 'out'
    convert(folder, output, num_shards=6)
    old = contents_of(output)
    with pytest.raises(ValueError, match="already 7 files of the split 'train' of 'pets' .* by --overwrite"):
        convert(folder, output)
    assert contents_of(output) == old
    convert(folder, output, split_name='validation', num_shards=1)
    assert {name: content for name, content in contents_of(output).items() if 'validation' not in name} == old
    convert(folder, output, overwrite=True)
    assert len(list(output.glob('pets_train_*.tfrecord'))) == 4
    assert not manifest.check(os.fspath(output), 2, lambda *_: None)['problems']


def test_files_of_others_are_not_replaced(folder, tmp_path):
    records.write_records([], 0, tmp_path / 'out', 'pets', 'train', 2)
    with pytest.raises(ValueError, match='already 2 files of the split'):
        convert(folder, tmp_path / 'out')


def test_second_run_at_a_time_is_refused(folder, tmp_path, monkeypatch):
    make = shards.make

    def nested(shard, advance):
        monkeypatch.setattr(shards, 'make', make)
        with pytest.raises(ValueError, match='Another process is writing .*pets_train.partial.; wait for it'):
            convert(folder, tmp_path / 'out')
        return make(shard, advance)

    monkeypatch.setattr(shards, 'make', nested)
    assert convert(folder, tmp_path / 'out')['examples'] == 23


def test_labels_of_the_folder_number_the_classes(folder, tmp_path):
    records.write_labels(tmp_path, ['background', 'c', 'b', 'a'])
    convert(folder, tmp_path, split_name='validation', num_shards=1)
    assert [each['examples'] for each in read_manifest(tmp_path, 'validation')['classes']] == [0, 1, 0, 1]
    other = tmp_path / 'labels'
    other.mkdir()
    records.write_labels(other, ['a', 'b', 'c', 'd'])
    with pytest.raises(ValueError, match='name different classes. Write to another folder'):
        convert(folder, tmp_path, labels_path=str(other / 'labels.txt'))
    convert(folder, tmp_path / 'out', labels_path=str(other / 'labels.txt'))
    assert records.read_labels(tmp_path / 'out') == ('a', 'b', 'c', 'd')


@pytest.mark.parametrize(('options', 'words'), [
    ({'name': 'a/b'}, "name must be of letters, digits, .*; got 'a/b'"),
    ({'split_name': 'train_2'}, "split must be of letters, digits, .*; got 'train_2'"),
    ({'split_name': 'eval'}, "one of train, validation, test .*; got 'eval'"),
    ({'num_shards': 0}, 'num_shards must be at least 1; got 0'),
    ({'num_shards': 24}, 'at most 99999 and at most that of the images, 23; got 24'),
    ({'num_workers': 0}, 'num_workers must be at least 1; got 0'),
    ({'seed': -1}, 'seed must be at least 0; got -1'),
])
def test_bad_arguments_are_explained(options, words, folder, tmp_path):
    with pytest.raises(ValueError, match=words):
        convert(folder, tmp_path / 'out', **options)
    assert not os.path.exists(tmp_path / 'out')


def test_place_that_cannot_be_written_to_is_named(folder, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='file/out'):
        convert(folder, tmp_path / 'file' / 'out')


def test_name_and_number_of_files_by_default(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, '_IMAGES_PER_SHARD', 10)
    conversion.convert(folder, os.fspath(tmp_path / 'out'))
    assert set(os.listdir(tmp_path / 'out')) == {
        'labels.txt', 'images_train.manifest.json',
        *(f'images_train_0000{index}-of-00003.tfrecord' for index in range(3))}


def test_progress_ends_at_the_number_of_images(folder, tmp_path):
    calls = []
    convert(folder, tmp_path / 'out', on_progress=lambda *call: calls.append(call))
    assert calls == [(index + 1, 23) for index in range(23)]
