import dataclasses
import io
import os
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from nets.data import pipeline, sources
from nets.data.segmentation import datasets, label_images

NAMES = [f'train/{letter}.jpg' for letter in 'abcde']


@pytest.fixture
def dataset(write_pairs):
    return datasets.get_dataset('voc', 'train', write_pairs(NAMES))


def assert_equal(left, right):
    assert len(left) == len(right) > 0
    for one, other in zip(left, right, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def test_training_goes_on_from_any_position_whatever_the_threads(dataset, collect, make_label_batches):
    undisturbed = collect(make_label_batches(dataset, True, num_parallel_calls=1), 7)
    assert [batch['label'].shape for batch in undisturbed] == [(2, 16, 24)] * 7
    assert sorted(np.concatenate([batch['name'] for batch in undisturbed])[:5].tolist()) == [
        f'images/{name}'.encode() for name in NAMES]
    assert len({image.tobytes() for batch in undisturbed for image in batch['image']}) == 14
    share = pipeline.Share(0, start=6)
    assert_equal(collect(make_label_batches(dataset, True, share=share, skip_corrupt=[]), 4), undisturbed[3:])
    other = collect(make_label_batches(dataset, True, share=pipeline.Share(1)), 7)
    assert not np.array_equal(other[0]['image'], undisturbed[0]['image'])


def test_examples_held_in_memory_give_the_same_batches(dataset, collect, make_label_batches):
    held = dataclasses.replace(dataset, source=sources.in_memory(dataset.source))
    expected = collect(make_label_batches(dataset, False, size=(24, 26)))
    for example in collect(dataset.examples()):
        os.remove(example['label_file'])
    assert_equal(collect(make_label_batches(held, False, size=(24, 26))), expected)


def test_workers_share_each_global_batch(dataset, collect, make_label_batches):
    whole = collect(make_label_batches(dataset, True, 4, pipeline.Share(3, start=2)), 3)
    parts = [collect(make_label_batches(dataset, True, 2, pipeline.Share(3, 2, 4, worker, 2)), 3)
             for worker in range(2)]
    assert_equal([{key: np.concatenate([left[key], right[key]]) for key in left}
                  for left, right in zip(*parts, strict=True)], whole)


def test_image_and_label_stay_together(tmp_path, collect, encode, make_label_batches):
    """Of pictures whose grey is ten times the class, whatever becomes of them."""
    classes = np.random.RandomState(0).randint(0, 20, [10, 12]).repeat(4, 0).repeat(4, 1)
    for folder, content in (('images', encode(np.repeat(classes[..., np.newaxis] * 10, 3, 2).astype(np.uint8))),
                            ('labels', label_images.encode(classes))):
        (tmp_path / folder / 'train').mkdir(parents=True)
        (tmp_path / folder / 'train' / 'a.png').write_bytes(content)
    made = datasets.get_dataset('voc', 'train', os.fspath(tmp_path), num_classes=20)
    for batch in collect(make_label_batches(made, True, name='inception', size=(70, 70)), 10):
        counted = batch['label'] != 255
        levels = (batch['image'][counted] + 1) * 127.5
        # Between the squares, colours are mixed; not most pixels.
        wrong = np.abs(levels - 10 * batch['label'][counted][:, np.newaxis]) > 0.01
        assert counted.any()
        assert wrong.mean() < 0.7
        assert not batch['image'][~counted].any()


@pytest.mark.parametrize(('batch_size', 'size'), [(1, (None, None)), (2, (24, 30)), (5, (24, 26)), (3, (25, 26))])
def test_evaluation_takes_every_image_once_and_whole(batch_size, size, dataset, collect, make_label_batches):
    values = collect(make_label_batches(dataset, False, batch_size, size=size))
    assert len(values) == -(-5 // batch_size)
    batch = {key: [one for value in values for one in value[key]] for key in values[0]}
    examples = collect(dataset.examples())
    encoded = tf.placeholder(tf.string, [])
    decoded = tf.io.decode_jpeg(encoded)
    assert batch['mask'] == [index < 5 for index in range(len(batch['mask']))]
    assert [name.decode() for name in batch['name'][:5]] == [f'images/{name}' for name in NAMES]
    for index, (height, width) in enumerate(np.array(batch['size'])[:5]):
        assert (height, width) == (20 + index, 26 - index)
        example = examples[index]
        assert batch['encoded'][index] == example['encoded']
        np.testing.assert_array_equal(batch['label'][index][:height, :width], label_images.decode(example['label']))
        with tf.Session() as session:
            pixels = session.run(decoded, {encoded: example['encoded']})
        np.testing.assert_allclose(batch['image'][index][:height, :width], pixels - np.float32(
            [123.68, 116.779, 103.939]), atol=1e-5)
        outside = np.ones(batch['label'][index].shape, bool)
        outside[:height, :width] = False
        assert (batch['label'][index][outside] == 255).all()
        assert not batch['image'][index][outside].any()
    for label in batch['label'][5:]:
        assert (label == 255).all()


def test_shapes_and_types_are_known(dataset, make_label_batches):
    common = {'image': ([2, 16, 24, 3], tf.float32), 'label': ([2, 16, 24], tf.int32), 'mask': ([2], tf.bool),
              'name': ([2], tf.string)}
    for is_training, expected in ((True, common), (False, dict(common, size=([2, 2], tf.int32),
                                                               encoded=([2], tf.string)))):
        spec = dict(make_label_batches(dataset, is_training).element_spec)
        assert {key: (value.shape.as_list(), value.dtype) for key, value in spec.items()} == expected


def colours():
    buffer = io.BytesIO()
    Image.new('RGB', (25, 21), (128, 0, 0)).save(buffer, 'PNG')
    return buffer.getvalue()


def labels(value, height=21, width=25):
    values = np.full([height, width], 3)
    values[4, 7] = value
    return label_images.encode(values)


@pytest.mark.parametrize(('content', 'words'), [
    (labels(4), r'1 of its pixels have no class, the first in row 4 and column 7 with the label 4; labels must be from '
                '0 to 3, or 255 to be ignored'),
    (labels(65535), 'with the label 65535'), (labels(256), 'with the label 256'),
    (labels(3, 20), r'its size is 20x25 \(height x width\) and that of its image 21x25'),
    (labels(3, 25, 21), 'its size is 25x21 .* its image 21x25'),
    (colours(), r'it holds colours \(RGB\) where class numbers are needed. Save it with a palette'),
], ids=['class', 'most', 'wide', 'height', 'turned', 'colours'])
def test_label_that_is_not_as_it_should_be_names_its_file(content, words, write_pairs, collect, make_label_batches):
    folder = write_pairs(NAMES, {'train/b': content})
    made = datasets.get_dataset('voc', 'train', folder)
    for is_training, skip_corrupt in ((True, None), (False, [])):
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            collect(make_label_batches(made, is_training, size=(24, 26), skip_corrupt=skip_corrupt), 3)
        message = caught.value.message
        assert f"The label image '{folder}/labels/train/b.png' of 'images/train/b.jpg' cannot be used: " in message
        assert re.search(words, message)
        assert not skip_corrupt


def wide(values):
    """A label image of 16 bits, whether they are needed or not."""
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.uint16)).save(buffer, 'PNG')
    assert buffer.getvalue()[24] == 16
    return buffer.getvalue()


def test_labels_all_ignored_of_one_class_or_of_sixteen_bits_are_sound(write_pairs, collect, make_label_batches):
    values = [np.full([20, 26], 255), np.full([21, 25], 2), np.full([22, 24], 3), np.arange(23)[:, np.newaxis].repeat(
        23, 1) % 4]
    contents = [label_images.encode(values[0]), label_images.encode(values[1]), wide(values[2]), wide(values[3])]
    names = ['train/' + letter for letter in 'abcd']
    made = datasets.get_dataset('voc', 'train', write_pairs(NAMES, dict(zip(names, contents, strict=True))))
    batches = collect(make_label_batches(made, False, 1, size=(None, None)))
    assert len(batches) == 5
    for batch, expected in zip(batches, values, strict=False):
        np.testing.assert_array_equal(batch['label'][0], expected)
    for batch in collect(make_label_batches(made, True), 5):
        assert np.isfinite(batch['image']).all()


@pytest.mark.parametrize('kind', ['label', 'image'])
def test_damaged_files_are_named_or_skipped(kind, write_pairs, collect, make_label_batches):
    folder = write_pairs(NAMES, {'train/b': labels(0)[:-30]} if kind == 'label' else None)
    path = os.path.join(folder, *{'label': ('labels', 'train', 'b.png'), 'image': ('images', 'train', 'b.jpg')}[kind])
    if kind == 'image':
        with open(path, 'r+b') as file:
            file.truncate(300)
    made = datasets.get_dataset('voc', 'train', folder)
    words = f"Cannot decode the {'label ' if kind == 'label' else ''}image '{path}'.*: it is damaged or truncated"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        collect(make_label_batches(made, kind == 'label', size=(24, 26)), 3)
    for is_training in (True, False):
        skipped = []
        values = collect(make_label_batches(made, is_training, skip_corrupt=skipped, size=(24, 26)), 6)
        names = np.concatenate([batch['name'][batch['mask']] for batch in values]).tolist()
        assert skipped == ['images/train/b.jpg']
        assert set(names) == {f'images/{name}'.encode() for name in NAMES} - {b'images/train/b.jpg'}
        assert len(names) == (12 if is_training else 4)


def test_image_larger_than_the_evaluation_takes_is_named(dataset, collect, make_label_batches):
    with pytest.raises(tf.errors.InvalidArgumentError,
                       match=r"train/b.png' .*: it and its image are larger .*21x25 .* 20x26 are allowed"):
        collect(make_label_batches(dataset, False, size=(20, 26)))


@pytest.mark.parametrize(('is_training', 'options', 'words'), [
    (True, {'size': (None, None)}, 'be numbers, or both None .* got None and None, with batches of 2 for training'),
    (False, {'size': (None, None)}, 'for an evaluation by batches of 1; got None and None, with batches of 2'),
    (False, {'size': (8, None), 'batch_size': 1}, 'got 8 and None'),
    (True, {'size': (0, 8)}, 'height must be at least 1; got 0'),
    (True, {'batch_size': 0}, 'batch_size must be at least 1; got 0'),
    (True, {'num_parallel_calls': 0}, 'num_parallel_calls must be at least 1'),
    (True, {'share': pipeline.Share(0, 0, 5, 0, 2)}, 'batch_size must be a multiple of the 2 workers; got 5')])
def test_bad_arguments_are_explained(is_training, options, words, dataset, make_label_batches):
    with pytest.raises(ValueError, match=words):
        make_label_batches(dataset, is_training, **options)
