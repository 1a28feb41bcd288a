import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.data import pipeline
from nets.data.segmentation import conversion, datasets, label_images

NAMES = ['train/a.jpg', 'train/b.png', 'train/c.jpg', 'val/d.jpg']


@pytest.fixture
def folder(write_pairs):
    return write_pairs(NAMES)


def test_records_and_files_give_identical_batches(folder, tmp_path, collect, make_label_batches):
    target, calls = os.fspath(tmp_path / 'records'), []
    for split, count in (('train', 2), ('validation', 1)):
        paths = conversion.convert(datasets.get_dataset('voc', split, folder), target, count,
                                   on_progress=lambda *numbers: calls.append(numbers))
        assert paths == [os.path.join(target, f'{split}-{shard:05d}-of-{count:05d}.tfrecord') for shard in range(count)]
    assert calls == [(1, 3), (2, 3), (3, 3), (1, 1)]
    assert len(os.listdir(target)) == 4
    pairs = {split: [datasets.get_dataset(name, split, place) for name, place in (('voc', folder),
                                                                                  ('tfrecords', target))]
             for split in ('train', 'validation')}
    for split, options in (('train', {'share': pipeline.Share(5, start=2)}), ('train', {'size': (30, 30)}),
                           ('validation', {'size': (30, 30)})):
        left, right = pairs[split]
        assert (left.class_names, left.num_examples, left.ignore_label) == (
            right.class_names, right.num_examples, right.ignore_label)
        ours, theirs = (collect(make_label_batches(made, 'share' in options, **options), 4) for made in pairs[split])
        assert len(ours) == len(theirs) == (4 if 'share' in options else -(-left.num_examples // 2))
        for one, other in zip(ours, theirs, strict=True):
            assert one.keys() == other.keys()
            for key in one:
                np.testing.assert_array_equal(one[key], other[key])


def test_records_have_deeplabs_schema(folder, tmp_path):
    path, = conversion.convert(datasets.get_dataset('voc', 'train', folder), os.fspath(tmp_path / 'records'))
    values = [tf.train.Example.FromString(record).features.feature for record in tf.python_io.tf_record_iterator(path)]
    assert len(values) == 3
    for number, (feature, name) in enumerate(zip(values, NAMES, strict=False)):
        text = {key: feature[key].bytes_list.value[0] for key in feature if feature[key].HasField('bytes_list')}
        assert text['image/filename'] == f'images/{name}'.encode()
        assert text['image/format'] == (b'png' if name.endswith('png') else b'jpeg')
        assert text['image/segmentation/class/format'] == b'png'
        with open(os.path.join(folder, 'images', *name.split('/')), 'rb') as file:
            assert text['image/encoded'] == file.read()
        # As DeepLab reads it: a palette would come out as grey levels of its colours.
        with tf.Session() as session:
            label = session.run(tf.image.decode_png(text['image/segmentation/class/encoded'], channels=1))[..., 0]
        with open(os.path.join(folder, 'labels', *name.split('/')).rsplit('.', 1)[0] + '.png', 'rb') as file:
            np.testing.assert_array_equal(label, label_images.decode(file.read()))
        numbers = {key: feature[key].int64_list.value[0] for key in feature if feature[key].HasField('int64_list')}
        assert numbers == {'image/height': 20 + number, 'image/width': 26 - number, 'image/channels': 3}


def write_records(path, examples):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.python_io.TFRecordWriter(path) as writer:
        for features in examples:
            writer.write(tf.train.Example(features=tf.train.Features(feature={
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                for key, value in features.items()})).SerializeToString())


def features(photo, encode, value=1, **others):
    return {'image/encoded': encode(photo(9, 11)), 'image/format': b'png', 'image/filename': b'2007_000032',
            'image/segmentation/class/encoded': label_images.encode(np.full([9, 11], value)), **others}


@pytest.mark.parametrize(('file', 'split'), [('train-00000-of-00001', 'train'), ('val-00000-of-00001', 'validation'),
                                             ('trainval-00000-of-00001.tfrecord', 'trainval'), ('x.tfrecord', 'x')])
def test_deeplabs_own_files_are_found_and_read(file, split, tmp_path, collect, photo, encode, make_label_batches):
    write_records(os.fspath(tmp_path / file), [features(photo, encode), features(photo, encode, 20)])
    made = datasets.get_dataset('tfrecords', split, os.fspath(tmp_path), num_classes=21)
    batches = collect(make_label_batches(made, False, 1, size=(None, None)))
    assert [(batch['name'].tolist(), np.unique(batch['label']).tolist()) for batch in batches] == [
        ([b'2007_000032'], [1]), ([b'2007_000032'], [20])]


@pytest.mark.parametrize(('others', 'words'), [
    ({'image/segmentation/class/encoded': b''}, r"label image '.*#1' of '2007_000032': it is empty"),
    ({'image/segmentation/class/encoded': label_images.encode(np.full([9, 11], 5))},
     r"label image '.*#1' of '2007_000032' cannot be used: 99 of its pixels have no class.* the label 5"),
    ({'image/encoded': b'GIF89a'}, r"image '.*#1': it is damaged or truncated GIF")])
def test_record_that_is_not_as_it_should_be_is_named(others, words, tmp_path, collect, photo, encode,
                                                     make_label_batches):
    write_records(os.fspath(tmp_path / 'a' / 'train-00000-of-00001'), [
        features(photo, encode), features(photo, encode, **others)])
    made = datasets.get_dataset('tfrecords', 'train', os.fspath(tmp_path / 'a'), num_classes=3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        collect(make_label_batches(made, False))
    target = os.fspath(tmp_path / 'records')
    with pytest.raises(ValueError, match=words):
        conversion.convert(made, target)
    assert os.listdir(target) == []


def test_conversion_keeps_what_is_there_unless_told(folder, tmp_path):
    target = os.fspath(tmp_path / 'records')
    made = datasets.get_dataset('voc', 'train', folder)
    old = conversion.convert(made, target, 3)
    with pytest.raises(ValueError, match=r"already 3 files of the split 'train' .* such as train-00000-of-00003"):
        conversion.convert(made, target)
    os.remove(os.path.join(folder, 'labels', 'train', 'a.png'))
    with pytest.raises(ValueError, match='Cannot read the example 0 .*labels/train/a.png; No such file'):
        conversion.convert(made, target, overwrite=True)
    assert sorted(os.listdir(target)) == ['labels.txt', *map(os.path.basename, old)]
    validation = datasets.get_dataset('voc', 'validation', folder)
    (tmp_path / 'records' / 'labels.txt').write_text('0:other\n')
    with pytest.raises(ValueError, match='labels.txt.* names other classes'):
        conversion.convert(validation, target)
    os.remove(tmp_path / 'records' / 'labels.txt')
    for number in (0, 2):
        with pytest.raises(ValueError, match=f'num_shards must be from 1 to 1, .*; got {number}'):
            conversion.convert(validation, target, number)
    conversion.convert(validation, target)
    assert len(os.listdir(target)) == 5


def test_overwriting_leaves_no_old_files(folder, tmp_path):
    target = os.fspath(tmp_path / 'records')
    made = datasets.get_dataset('voc', 'train', folder)
    conversion.convert(made, target, 3)
    conversion.convert(made, target, 2, overwrite=True)
    assert sorted(os.listdir(target)) == ['labels.txt'] + [f'train-0000{shard}-of-00002.tfrecord' for shard in range(2)]
    assert datasets.get_dataset('tfrecords', 'train', target).num_examples == 3


def test_missing_shards_are_an_error_unless_named(folder, tmp_path):
    target = os.fspath(tmp_path / 'records')
    paths = conversion.convert(datasets.get_dataset('voc', 'train', folder), target, 3)
    os.remove(paths[1])
    with pytest.raises(ValueError, match=r'lacks shards \[1\] of 3'):
        datasets.get_dataset('tfrecords', 'train', target)
    assert datasets.get_dataset('tfrecords', 'train', target, '%s-*').num_examples == 2
