import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.data import datasets, pipeline, preprocessing, records


@pytest.mark.parametrize('count', [1, 3, 4, 5, 8, 9])
def test_evaluation_takes_every_example_once_in_order(count, folder_of, collect, make_batches, flat_names):
    dataset, _ = folder_of(count, num_classes=1)
    values = collect(make_batches(dataset, False))
    assert len(values) == -(-count // 4)
    masks = np.concatenate([batch['mask'] for batch in values])
    np.testing.assert_array_equal(masks, np.arange(len(masks)) < count)
    assert flat_names(values) == [example['name'].decode() for example in collect(dataset.examples())]
    assert len(set(flat_names(values))) == count


def test_evaluation_gives_image_label_and_file_of_each_example(folder_of, collect, make_batches):
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
def test_shapes_and_types_are_known(is_training, folder_of, make_batches):
    spec = dict(make_batches(folder_of(3)[0], is_training).element_spec)
    expected = {'image': ([4, 8, 8, 3], tf.float32), 'label': ([4], tf.int64), 'mask': ([4], tf.bool),
                'name': ([4], tf.string), 'encoded': ([4], tf.string)}
    if is_training:
        del expected['encoded']
    assert {key: (value.shape.as_list(), value.dtype) for key, value in spec.items()} == expected


@pytest.mark.parametrize('batch_size', [2, 3, 7, 16])
def test_training_fills_its_batches_with_whole_passes(batch_size, folder_of, collect, make_batches,
                                                      flat_names):
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
def test_seed_decides_order_and_images_whatever_the_threads(name, folder_of, collect, make_batches):
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
def test_image_is_changed_anew_in_each_pass(name, folder_of, collect, make_batches):
    values = collect(make_batches(folder_of(1)[0], True, 1, name, seed=0), 12)
    images = [batch['image'] for batch in values]
    assert len({image.tobytes() for image in images}) > 6


@pytest.mark.parametrize('skip_corrupt', [None, []])
@pytest.mark.parametrize('batch_size', [2, 3])
def test_stream_goes_on_from_any_position(batch_size, skip_corrupt, folder_of, collect, make_batches, flat_names):
    dataset, _ = folder_of(7, None if skip_corrupt is None else {2: b'no image', 5: b''})
    options = {'skip_corrupt': skip_corrupt, 'name': 'inception'}
    undisturbed = collect(make_batches(dataset, True, batch_size, **options), 12)
    for steps in (1, 5):
        share = pipeline.Share(0, start=steps * batch_size)
        again = collect(make_batches(dataset, True, batch_size, share=share, **options), 12 - steps)
        for left, right in zip(undisturbed[steps:], again, strict=True):
            assert left['name'].tolist() == right['name'].tolist()
            np.testing.assert_array_equal(left['image'], right['image'])


@pytest.mark.parametrize(('num_workers', 'micro_batch_size'), [(2, 6), (3, 4), (3, 2), (4, 1)])
def test_workers_share_each_global_batch(num_workers, micro_batch_size, folder_of, collect, make_batches):
    dataset, _ = folder_of(10)
    whole = collect(make_batches(dataset, True, 12, share=pipeline.Share(3, start=7)), 5)
    per_step = 12 // num_workers // micro_batch_size
    parts = [collect(make_batches(dataset, True, micro_batch_size,
                                  share=pipeline.Share(3, 7, 12, worker, num_workers)), 5 * per_step)
             for worker in range(num_workers)]
    for step in range(5):
        together = [batch for part in parts for batch in part[step * per_step:(step + 1) * per_step]]
        for key in ('name', 'image', 'label'):
            np.testing.assert_array_equal(np.concatenate([batch[key] for batch in together]), whole[step][key])


@pytest.mark.parametrize(('share', 'words'), [
    (pipeline.Share(0, 0, 5, 0, 2), 'batch_size must be a multiple of the 2 workers; got 5'),
    (pipeline.Share(0, 0, 4, 2, 2), 'worker must be at least 0 and less than the 2 workers; got 2')])
def test_share_that_cannot_be_had_is_explained(share, words, folder_of, make_batches):
    with pytest.raises(ValueError, match=words):
        make_batches(folder_of(2)[0], True, share=share)


def write_labelled(tmp_path, photo, encode, labels, num_classes):
    examples = [records.make_example(encode(photo(12, 12)), 'png', 12, 12, label, f'image{index}')
                for index, label in enumerate(labels)]
    records.write_records(examples, len(labels), tmp_path, 'pets', 'train')
    records.write_labels(tmp_path, [f'class{label}' for label in range(num_classes)])
    return datasets.get_dataset('tfrecords', 'train', os.fspath(tmp_path))


@pytest.mark.parametrize('is_training', [True, False])
def test_labels_offset_is_subtracted(is_training, tmp_path, collect, photo, encode, make_batches):
    dataset = write_labelled(tmp_path, photo, encode, [1, 2, 3, 4], 5)
    values, = collect(make_batches(dataset, is_training, labels_offset=1), 1)
    assert sorted(zip(values['name'], values['label'].tolist(), strict=True)) == [
        (b'image0', 0), (b'image1', 1), (b'image2', 2), (b'image3', 3)]


@pytest.mark.parametrize(('bad', 'labels_offset', 'words'), [
    (5, 0, r'\[image1\] .*at least 0 .*less than 5 .*got\] \[5\]'),
    (0, 1, r'\[image1\] .*at least 1 .*got\] \[0\]'),
    (-1, 0, r'\[image1\] .*at least 0 .*got\] \[-1\]')])
@pytest.mark.parametrize('is_training', [True, False])
def test_label_of_no_class_names_its_image(is_training, bad, labels_offset, words, tmp_path, collect,
                                           photo,
                                           encode, make_batches):
    dataset = write_labelled(tmp_path, photo, encode, [1, bad, 2], 5)
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        collect(make_batches(dataset, is_training, 2, labels_offset=labels_offset, skip_corrupt=[]), 2)


@pytest.mark.parametrize(('options', 'words'), [
    ({'batch_size': 0}, 'batch_size must be at least 1; got 0'),
    ({'num_parallel_calls': 0}, 'num_parallel_calls must be at least 1; got 0'),
    ({'labels_offset': 2}, 'labels_offset must be at least 0 and less than the 2 classes .*; got 2'),
    ({'labels_offset': -1}, 'got -1'),
])
def test_bad_arguments_are_explained(options, words, folder_of, make_batches):
    with pytest.raises(ValueError, match=words):
        make_batches(folder_of(2)[0], False, **options)


def test_empty_data_set_is_an_error(tmp_path, make_batches):
    records.write_records([], 0, tmp_path, 'pets', 'train')
    records.write_labels(tmp_path, ['cat'])
    dataset = datasets.get_dataset('tfrecords', 'train', os.fspath(tmp_path))
    with pytest.raises(ValueError, match="split 'train' of the data set 'tfrecords' has no examples"):
        make_batches(dataset, True)


def test_one_shot_iterator_and_several_graphs(folder_of, collect, make_batches, flat_names):
    dataset, _ = folder_of(3)
    expected = flat_names(collect(make_batches(dataset, False)))
    for _ in range(2):
        with tf.Graph().as_default(), tf.Session() as session:
            element = tf.data.make_one_shot_iterator(make_batches(dataset, False)).get_next()
            assert flat_names([session.run(element)]) == expected


def test_table_of_examples_stays_out_of_the_graph(graph, folder_of, make_batches):
    tf.data.make_initializable_iterator(make_batches(folder_of(40)[0], True)).get_next()
    assert b'039.jpg' not in graph.as_graph_def().SerializeToString()
    assert b'.jpg' not in graph.as_graph_def().SerializeToString()


LEGACY = '''
import atexit
import sys
import tensorflow.compat.v1 as tf


@atexit.register  # first, so that it is called last
def use_what_was_left_open():
    try:
        left_open.run(batch)
    except RuntimeError as error:
        print(error)


tf.disable_v2_behavior()
from nets.data import datasets, pipeline, preprocessing

dataset = datasets.get_dataset('image_folder', 'test', sys.argv[1])
for name, is_training in (('inception', True), ('vgg', False)):
    skipped = []
    fn = preprocessing.get_preprocessing(name, is_training)
    batches = pipeline.batches(dataset, fn, 8, 8, 4, pipeline.Share(1) if is_training else None,
                               skip_corrupt=skipped)
    iterator = tf.data.make_initializable_iterator(batches)
    batch = iterator.get_next()
    with tf.Session() as session:
        session.run(iterator.initializer)
        values = [session.run(batch) for _ in range(2)]
    assert skipped == [sys.argv[2]], skipped
    print(name, [int(value['mask'].sum()) for value in values], batch['image'].shape.as_list())
left_open = tf.Session()
left_open.run(iterator.initializer)
'''


def test_without_v2_behavior(folder_of):
    dataset, (bad,) = folder_of(7, {2: b'no image'})
    folder = os.path.dirname(os.path.dirname(os.path.dirname(bad)))
    run = subprocess.run([sys.executable, '-c', LEGACY, folder, bad], capture_output=True, text=True,
                         env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ['inception [4, 4] [4, 8, 8, 3]', 'vgg [4, 2] [4, 8, 8, 3]',
                                       'Attempted to use a closed Session.']
