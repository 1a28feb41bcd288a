import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.data import datasets, pipeline, preprocessing, records


@pytest.fixture
def folder_of(write_folder):
    """A function from a number of images (and corrupt files by index) to a data set and the corrupt paths."""
    def make(count, corrupt=None, num_classes=2):
        files = {f'test/{index % num_classes}/{index // num_classes:03d}.jpg': (corrupt or {}).get(index)
                 for index in range(count)}
        folder = write_folder(files)
        bad = [os.path.join(folder, path) for path, content in files.items() if content is not None]
        return datasets.get_dataset('image_folder', 'test', folder), sorted(bad)

    return make


def make_batches(dataset, is_training, batch_size=4, name='cifar', **options):
    preprocess = preprocessing.get_preprocessing(name, is_training)
    return pipeline.batches(dataset, preprocess, 8, 8, batch_size, is_training, **options)


def flat_names(values):
    return [name.decode() for batch in values for name in batch['name'][batch['mask']]]


def corrupt_files(photo, encode):
    """What folders of images hold in real life that is no image, by kind."""
    jpeg, png = encode(photo(40, 40), 'JPEG'), encode(photo(40, 40))
    return {'truncated JPEG': jpeg[:len(jpeg) // 2], 'JPEG without its last bytes': jpeg[:-20],
            'JPEG header only': jpeg[:30], 'truncated PNG': png[:len(png) // 2],
            'empty': b'', 'web page': b'<html><body>404 not found</body></html>',
            'TIFF': encode(photo(40, 40), 'TIFF'), 'noise': bytes(range(256)) * 4}


@pytest.mark.parametrize('count', [1, 3, 4, 5, 8, 9])
def test_evaluation_takes_every_example_once_in_order(count, folder_of, collect):
    dataset, _ = folder_of(count, num_classes=1)
    values = collect(make_batches(dataset, False))
    assert len(values) == -(-count // 4)
    masks = np.concatenate([batch['mask'] for batch in values])
    np.testing.assert_array_equal(masks, np.arange(len(masks)) < count)
    assert flat_names(values) == [example['name'].decode() for example in collect(dataset.examples())]
    assert len(set(flat_names(values))) == count


def test_evaluation_gives_image_label_and_file_of_each_example(folder_of, collect):
    dataset, _ = folder_of(5)
    first, second = collect(make_batches(dataset, False))
    batch_of = {key: np.concatenate([first[key], second[key]]) for key in first}
    examples = collect(dataset.examples())
    encoded = tf.placeholder(tf.string, [])
    image = preprocessing.get_preprocessing('cifar', False)(tf.image.decode_jpeg(encoded, channels=3), 8, 8)
    with tf.Session() as session:
        for index, example in enumerate(examples):
            expected = session.run(image, {encoded: example['encoded']})
            np.testing.assert_array_equal(batch_of['image'][index], expected)
            assert {key: batch_of[key][index] for key in example} == example
    for key, blank in {'image': 0, 'label': 0, 'mask': False, 'name': b'', 'encoded': b''}.items():
        assert (batch_of[key][5:] == blank).all()
        assert len(batch_of[key]) == 8


@pytest.mark.parametrize('is_training', [True, False])
def test_shapes_and_types_are_known(is_training, folder_of):
    spec = dict(make_batches(folder_of(3)[0], is_training).element_spec)
    expected = {'image': ([4, 8, 8, 3], tf.float32), 'label': ([4], tf.int64), 'mask': ([4], tf.bool),
                'name': ([4], tf.string), 'encoded': ([4], tf.string)}
    if is_training:
        del expected['encoded']
    assert {key: (value.shape.as_list(), value.dtype) for key, value in spec.items()} == expected


@pytest.mark.parametrize('batch_size', [2, 3, 7, 16])
def test_training_fills_its_batches_with_whole_passes(batch_size, folder_of, collect):
    dataset, _ = folder_of(7)
    values = collect(make_batches(dataset, True, batch_size, seed=1), -(-28 // batch_size))
    assert all(batch['mask'].all() and len(batch['mask']) == batch_size for batch in values)
    names = flat_names(values)
    passes = [names[start:start + 7] for start in range(0, 28, 7)]
    assert {tuple(sorted(each)) for each in passes} == {tuple(sorted(set(names)))}
    assert len({tuple(each) for each in passes}) > 1
    for batch in values:
        assert batch['label'].tolist() == [int(name.decode().split('/')[-2]) for name in batch['name']]


@pytest.mark.parametrize('name', ['cifar', 'inception'])
def test_seed_decides_order_and_images_whatever_the_threads(name, folder_of, collect):
    dataset, _ = folder_of(9)

    def run(seed, num_parallel_calls):
        with tf.Graph().as_default():
            options = {'seed': seed, 'num_parallel_calls': num_parallel_calls}
            return collect(make_batches(dataset, True, name=name, **options), 8)

    def equal(left, right, key):
        return all(np.array_equal(one[key], other[key]) for one, other in zip(left, right, strict=True))

    first = run(5, 1)
    for again in (run(5, 2), run(5, 8)):
        assert all(equal(first, again, key) for key in first[0])
    other = run(6, 1)
    assert not equal(first, other, 'name')
    assert not equal(first, other, 'image')


@pytest.mark.parametrize('name', preprocessing.PREPROCESSING)
def test_image_is_changed_anew_in_each_pass(name, folder_of, collect):
    values = collect(make_batches(folder_of(1)[0], True, 1, name, seed=0), 12)
    images = [batch['image'] for batch in values]
    assert len({image.tobytes() for image in images}) > 6


def test_graph_seed_decides_without_a_seed(folder_of, collect):
    dataset, _ = folder_of(9)

    def run(graph_seed):
        with tf.Graph().as_default():
            tf.set_random_seed(graph_seed)
            return collect(make_batches(dataset, True), 4)

    first = run(1)
    for left, right in zip(first, run(1), strict=True):
        np.testing.assert_array_equal(left['image'], right['image'])
        np.testing.assert_array_equal(left['name'], right['name'])
    assert flat_names(first) != flat_names(run(2))


@pytest.mark.parametrize('is_training', [True, False])
def test_corrupt_image_is_named(is_training, folder_of, collect, photo, encode):
    dataset, (bad,) = folder_of(6, {3: corrupt_files(photo, encode)['truncated JPEG']})
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        collect(make_batches(dataset, is_training, seed=0), 4)
    assert f"Cannot decode the image '{bad}': it is damaged or truncated JPEG data" in caught.value.message
    assert 'skip_corrupt' in caught.value.message


def test_name_in_an_error_is_readable_in_any_language(write_folder, collect):
    folder = write_folder({'test/a/Gänseblümchen 雛菊.jpg': b''})
    dataset = datasets.get_dataset('image_folder', 'test', folder)
    with pytest.raises(tf.errors.InvalidArgumentError, match="/Gänseblümchen 雛菊.jpg': it is empty"):
        collect(make_batches(dataset, False))


@pytest.mark.parametrize('count', [10, 12, 13])
def test_skipped_images_are_left_out_of_evaluation_and_named_once(count, folder_of, collect, photo, encode):
    corrupt = dict(zip([0, 2, 3, 4, 5, 6, 7, count - 1], corrupt_files(photo, encode).values(), strict=True))
    dataset, bad = folder_of(count, corrupt)
    skipped = []
    values = collect(make_batches(dataset, False, skip_corrupt=skipped))
    every = [example['name'].decode() for example in collect(dataset.examples())]
    assert flat_names(values) == [name for name in every if name not in bad]
    assert len(values) == -(-(count - 8) // 4)
    assert sorted(skipped) == bad


def test_skipped_images_are_left_out_of_training_and_named_once(folder_of, collect, photo, encode):
    dataset, bad = folder_of(6, {1: corrupt_files(photo, encode)['truncated PNG'], 4: b''})
    skipped = []
    names = flat_names(collect(make_batches(dataset, True, seed=2, skip_corrupt=skipped), 10))
    assert len(names) == 40
    assert len(set(names)) == 4
    assert not set(names) & set(bad)
    assert sorted(skipped) == bad


@pytest.mark.parametrize('is_training', [True, False])
def test_only_corrupt_images_are_an_error_even_when_skipped(is_training, folder_of, collect):
    dataset, _ = folder_of(3, dict.fromkeys(range(3), b'no image'))
    with pytest.raises(tf.errors.InvalidArgumentError, match="All 3 images of the split 'test' .* corrupt"):
        collect(make_batches(dataset, is_training, skip_corrupt=[]), 1)


def test_images_of_all_kinds_in_one_folder(write_folder, collect, photo, encode):
    pixels = photo(16, 16)
    grey = np.repeat(pixels[..., :1], 3, axis=-1)
    grey16 = grey[..., 0].astype(np.uint16) * 257
    folder = write_folder({
        'test/a/0_rgb.png': encode(pixels),
        'test/a/1_alpha.png': encode(np.dstack([pixels, pixels[..., 0]])),
        'test/a/2_grey.png': encode(grey[..., 0]), 'test/a/3_16_bit.png': encode(grey16),
        'test/a/4_gif.jpg': encode(pixels, 'GIF'), 'test/a/5_png.jpg': encode(pixels)})
    dataset = datasets.get_dataset('image_folder', 'test', folder)
    values, = collect(make_batches(dataset, False, 6))
    fn = preprocessing.get_preprocessing('cifar', False)
    with tf.Session() as session:
        colour, grey = session.run([fn(tf.constant(image), 8, 8) for image in (pixels, grey)])
    for index, expected in enumerate([colour, colour, grey, grey, None, colour]):
        if expected is not None:
            np.testing.assert_array_equal(values['image'][index], expected)
    # A GIF has no more than 256 colours.
    assert np.abs(values['image'][4] - colour).mean() < 0.1


def test_corrupt_record_is_named_by_its_place(tmp_path, collect, photo, encode):
    files = [encode(photo(12, 12)), b'', encode(photo(12, 12))]
    examples = [records.make_example(file, 'png', 12, 12, 0) for file in files]
    path, = records.write_records(examples, 3, tmp_path, 'pets', 'train')
    records.write_labels(tmp_path, ['cat'])
    dataset = datasets.get_dataset('tfrecords', 'train', os.fspath(tmp_path))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"'{path}#1': it is empty"):
        collect(make_batches(dataset, False))
    skipped = []
    values = collect(make_batches(dataset, False, skip_corrupt=skipped))
    assert flat_names(values) == [f'{path}#0', f'{path}#2']
    assert skipped == [f'{path}#1']


def write_labelled(tmp_path, photo, encode, labels, num_classes):
    examples = [records.make_example(encode(photo(12, 12)), 'png', 12, 12, label, f'image{index}')
                for index, label in enumerate(labels)]
    records.write_records(examples, len(labels), tmp_path, 'pets', 'train')
    records.write_labels(tmp_path, [f'class{label}' for label in range(num_classes)])
    return datasets.get_dataset('tfrecords', 'train', os.fspath(tmp_path))


@pytest.mark.parametrize('is_training', [True, False])
def test_labels_offset_is_subtracted(is_training, tmp_path, collect, photo, encode):
    dataset = write_labelled(tmp_path, photo, encode, [1, 2, 3, 4], 5)
    values, = collect(make_batches(dataset, is_training, labels_offset=1), 1)
    assert sorted(zip(values['name'], values['label'].tolist(), strict=True)) == [
        (b'image0', 0), (b'image1', 1), (b'image2', 2), (b'image3', 3)]


@pytest.mark.parametrize(('bad', 'labels_offset', 'words'), [
    (5, 0, r'\[image1\] .*at least 0 .*less than 5 .*got\] \[5\]'),
    (0, 1, r'\[image1\] .*at least 1 .*got\] \[0\]'),
    (-1, 0, r'\[image1\] .*at least 0 .*got\] \[-1\]')])
@pytest.mark.parametrize('is_training', [True, False])
def test_label_of_no_class_names_its_image(is_training, bad, labels_offset, words, tmp_path, collect, photo,
                                           encode):
    dataset = write_labelled(tmp_path, photo, encode, [1, bad, 2], 5)
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        collect(make_batches(dataset, is_training, 2, labels_offset=labels_offset, skip_corrupt=[]), 2)


def test_file_that_vanished_is_named_and_not_skipped(folder_of, collect):
    dataset, _ = folder_of(4)
    path = collect(dataset.examples())[2]['name'].decode()
    os.remove(path)
    with pytest.raises(tf.errors.NotFoundError, match=path):
        collect(make_batches(dataset, False, skip_corrupt=[]))


@pytest.mark.parametrize(('options', 'words'), [
    ({'batch_size': 0}, 'batch_size must be at least 1; got 0'),
    ({'num_parallel_calls': 0}, 'num_parallel_calls must be at least 1; got 0'),
    ({'labels_offset': 2}, 'labels_offset must be at least 0 and less than the 2 classes .*; got 2'),
    ({'labels_offset': -1}, 'got -1'),
])
def test_bad_arguments_are_explained(options, words, folder_of):
    with pytest.raises(ValueError, match=words):
        make_batches(folder_of(2)[0], False, **options)


def test_empty_data_set_is_an_error(tmp_path):
    records.write_records([], 0, tmp_path, 'pets', 'train')
    records.write_labels(tmp_path, ['cat'])
    dataset = datasets.get_dataset('tfrecords', 'train', os.fspath(tmp_path))
    with pytest.raises(ValueError, match="split 'train' of the data set 'tfrecords' has no examples"):
        make_batches(dataset, True)


def test_one_shot_iterator_and_several_graphs(folder_of, collect):
    dataset, _ = folder_of(3)
    expected = flat_names(collect(make_batches(dataset, False)))
    for _ in range(2):
        with tf.Graph().as_default(), tf.Session() as session:
            element = tf.data.make_one_shot_iterator(make_batches(dataset, False)).get_next()
            assert flat_names([session.run(element)]) == expected


def test_table_of_examples_stays_out_of_the_graph(graph, folder_of):
    tf.data.make_initializable_iterator(make_batches(folder_of(40)[0], True)).get_next()
    assert b'039.jpg' not in graph.as_graph_def().SerializeToString()
    assert b'.jpg' not in graph.as_graph_def().SerializeToString()


LEGACY = '''
import sys
import tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
from nets.data import datasets, pipeline, preprocessing

dataset = datasets.get_dataset('image_folder', 'test', sys.argv[1])
for name, is_training in (('inception', True), ('vgg', False)):
    skipped = []
    fn = preprocessing.get_preprocessing(name, is_training)
    batches = pipeline.batches(dataset, fn, 8, 8, 4, is_training, seed=1, skip_corrupt=skipped)
    iterator = tf.data.make_initializable_iterator(batches)
    batch = iterator.get_next()
    with tf.Session() as session:
        session.run(iterator.initializer)
        values = [session.run(batch) for _ in range(2)]
    assert skipped == [sys.argv[2]], skipped
    print(name, [int(value['mask'].sum()) for value in values], batch['image'].shape.as_list())
'''


def test_without_v2_behavior(folder_of):
    dataset, (bad,) = folder_of(7, {2: b'no image'})
    folder = os.path.dirname(os.path.dirname(os.path.dirname(bad)))
    run = subprocess.run([sys.executable, '-c', LEGACY, folder, bad], capture_output=True, text=True,
                         env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ['inception [4, 4] [4, 8, 8, 3]', 'vgg [4, 2] [4, 8, 8, 3]']
