import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.data import records


def slim_example(encoded, image_format, label, filename=None):
    """A record as slim's converters make it, put together by hand."""
    feature = {
        'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded])),
        'image/format': tf.train.Feature(bytes_list=tf.train.BytesList(value=[image_format])),
        'image/class/label': tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        'image/height': tf.train.Feature(int64_list=tf.train.Int64List(value=[12])),
        'image/width': tf.train.Feature(int64_list=tf.train.Int64List(value=[10])),
    }
    if filename is not None:
        feature['image/filename'] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[filename]))
    return tf.train.Example(features=tf.train.Features(feature=feature))


def make_examples(count):
    return [records.make_example(b'content %d' % index, 'png', 8, 9, index) for index in range(count)]


def read_labels_of(paths):
    """The labels in each file, read by the protocol buffers alone."""
    return [[tf.train.Example.FromString(record).features.feature['image/class/label'].int64_list.value[0]
             for record in tf.python_io.tf_record_iterator(path)] for path in paths]


def test_own_record_equals_that_of_slim():
    own = records.make_example(b'\xff\xd8', 'jpg', 12, 10, 3)
    assert own == slim_example(b'\xff\xd8', b'jpg', 3)
    named = records.make_example(b'\xff\xd8', 'jpg', 12, 10, 3, 'n01_2.JPEG')
    assert named == slim_example(b'\xff\xd8', b'jpg', 3, b'n01_2.JPEG')


def test_parse_gives_back_what_was_written():
    with tf.Session() as session:
        parsed = session.run(records.parse_example(
            slim_example(b'\xff\x00', b'jpg', 3, b'a.jpg').SerializeToString()))
    assert parsed == {'encoded': b'\xff\x00', 'format': b'jpg', 'filename': b'a.jpg', 'label': 3,
                      'height': 12, 'width': 10}


def test_parse_marks_what_is_missing():
    with tf.Session() as session:
        parsed = session.run(records.parse_example(tf.train.Example().SerializeToString()))
    assert parsed == {'encoded': b'', 'format': b'', 'filename': b'', 'label': -1, 'height': 0, 'width': 0}


@pytest.mark.parametrize(('count', 'num_shards', 'sizes'), [
    (10, 1, [10]), (10, 5, [2] * 5), (10, 3, [4, 4, 2]), (4, 3, [2, 2, 0]), (0, 2, [0, 0])])
def test_shards_hold_the_examples_in_order(count, num_shards, sizes, tmp_path):
    folder = tmp_path / 'new' / 'folder'
    paths = records.write_records(iter(make_examples(count)), count, folder, 'pets', 'train', num_shards)
    assert [os.path.basename(path) for path in paths] == [
        f'pets_train_0000{shard}-of-0000{num_shards}.tfrecord' for shard in range(num_shards)]
    labels = read_labels_of(paths)
    assert [len(shard) for shard in labels] == sizes
    assert sum(labels, []) == list(range(count))
    assert sum(len(records.record_offsets(path)) for path in paths) == count
    assert sorted(os.listdir(folder)) == sorted(map(os.path.basename, paths))


@pytest.mark.parametrize(('num_examples', 'words'), [(4, 'got 4 for 3'), (2, 'got 2 for more')])
def test_wrong_number_of_examples_writes_nothing(num_examples, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        records.write_records(make_examples(3), num_examples, tmp_path, 'pets', 'train', 2)
    assert not os.listdir(tmp_path)


def test_failure_on_the_way_leaves_old_files_alone(tmp_path):
    paths = records.write_records(make_examples(4), 4, tmp_path, 'pets', 'train', 2)

    def broken():
        yield from make_examples(2)[::-1]
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        records.write_records(broken(), 4, tmp_path, 'pets', 'train', 2)
    assert read_labels_of(paths) == [[0, 1], [2, 3]]
    assert len(os.listdir(tmp_path)) == 2


def test_number_of_shards_is_checked(tmp_path):
    with pytest.raises(ValueError, match='num_shards must be at least 1; got 0'):
        records.write_records([], 0, tmp_path, 'pets', 'train', 0)


@pytest.mark.parametrize('lost', [1, 5, 20])
def test_truncated_file_is_named(lost, tmp_path):
    path, = records.write_records(make_examples(3), 3, tmp_path, 'pets', 'train')
    with open(path, 'r+b') as file:
        file.truncate(os.path.getsize(path) - lost)
    with pytest.raises(ValueError, match=r'pets_train_00000-of-00001.tfrecord.* in the middle of record 2'):
        records.record_offsets(path)


def test_file_that_is_no_record_file_is_named(tmp_path):
    path = tmp_path / 'train-page.html'
    path.write_text('<html>404 not found</html>')
    with pytest.raises(ValueError, match="train-page.html' is truncated or no TFRecord file"):
        records.record_offsets(str(path))


def test_missing_shards_are_listed():
    records.check_shards(['x/train-00000-of-00002', 'x/train-00001-of-00002'])
    records.check_shards(['x/anything.tfrecord'])
    with pytest.raises(ValueError, match=r"'x/train' lacks shards \[0, 2\] of 4"):
        records.check_shards(['x/train-00001-of-00004', 'x/train-00003-of-00004'])


def test_two_sets_of_shards_are_an_error():
    with pytest.raises(ValueError, match=r'several sets: 1 of x/a, 2 of x/a. Remove the old'):
        records.check_shards(['x/a-00000-of-00001', 'x/a-00000-of-00002', 'x/a-00001-of-00002'])
    with pytest.raises(ValueError, match=r'several sets: 1 of x/a, 1 of x/b'):
        records.check_shards(['x/a-00000-of-00001', 'x/b-00000-of-00001'])


def test_labels_come_back(tmp_path):
    names = ('daisy', 'rose: red', 'Gänseblümchen')
    records.write_labels(tmp_path, names)
    assert (tmp_path / 'labels.txt').read_text('utf-8') == '0:daisy\n1:rose: red\n2:Gänseblümchen\n'
    assert records.read_labels(tmp_path) == names
    assert os.listdir(tmp_path) == ['labels.txt']


def test_labels_in_any_order_and_with_gaps(tmp_path):
    (tmp_path / 'labels.txt').write_text('3:c\n\n1:a\r\n')
    assert records.read_labels(tmp_path) == ('0', 'a', '2', 'c')


@pytest.mark.parametrize(('text', 'words'), [
    ('0:a\nb\n', "Line 2 of .*labels.txt' must be ID:NAME .* got 'b'"),
    ('x:a\n', "got 'x:a'"),
    ('0:a\n0:b\n', "Line 2 .* got '0:b'"),
    ('\n', 'it is empty'),
])
def test_bad_labels_are_explained(text, words, tmp_path):
    (tmp_path / 'labels.txt').write_text(text)
    with pytest.raises(ValueError, match=words):
        records.read_labels(tmp_path)


def test_decoder_of_tf_slim_reads_our_records(tmp_path, photo, encode):
    pytest.importorskip('nets.slim_compat')
    import tf_slim

    pixels = photo(12, 10)
    path, = records.write_records([records.make_example(encode(pixels), 'png', 12, 10, 3)], 1, tmp_path,
                                  'pets', 'train')
    decoder = tf_slim.tfexample_decoder.TFExampleDecoder(
        {'image/encoded': tf.FixedLenFeature([], tf.string, ''),
         'image/format': tf.FixedLenFeature([], tf.string, 'png'),
         'image/class/label': tf.FixedLenFeature([], tf.int64, 0)},
        {'image': tf_slim.tfexample_decoder.Image(), 'label': tf_slim.tfexample_decoder.Tensor(
            'image/class/label')})
    serialized = next(tf.python_io.tf_record_iterator(path))
    with tf.Session() as session:
        image, label = session.run(decoder.decode(tf.constant(serialized), ['image', 'label']))
    np.testing.assert_array_equal(image, pixels)
    assert label == 3
