"""TFRecord files as slim's converters left them, with all of their fields, put together by hand and read back.

The facts are those of research/slim/datasets in tensorflow/models: download_and_convert_{flowers,cifar10,mnist}.py and
build_imagenet_data.py write, {flowers,cifar10,mnist,imagenet}.py read.
"""

import io
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from nets.data import datasets, pipeline, preprocessing

CLASSES = {
    'flowers': ['daisy', 'dandelion', 'roses', 'sunflowers', 'tulips'],
    'cifar10': ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'],
    # The sixth is misspelt there.
    'mnist': ['zero', 'one', 'two', 'three', 'four', 'five', 'size', 'seven', 'eight', 'nine'],
    'imagenet': ['background', *(f'synset {label}, and another word' for label in range(1, 1001))],
}
FILES = {
    ('flowers', 'train'): [f'flowers_train_0000{shard}-of-00005.tfrecord' for shard in range(5)],
    ('flowers', 'validation'): [f'flowers_validation_0000{shard}-of-00005.tfrecord' for shard in range(5)],
    ('cifar10', 'train'): ['cifar10_train.tfrecord'],
    ('cifar10', 'test'): ['cifar10_test.tfrecord'],
    ('mnist', 'train'): ['mnist_train.tfrecord'],
    ('mnist', 'test'): ['mnist_test.tfrecord'],
    ('imagenet', 'train'): [f'train-0000{shard}-of-00002' for shard in range(2)],
    ('imagenet', 'validation'): [f'validation-0000{shard}-of-00002' for shard in range(2)],
}
NUM_EXAMPLES = 6


def feature(value):
    values = value if isinstance(value, list) else [value]
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def fields_of(name, encoded, height, width, label):
    """The fields of a record by the converter of a data set."""
    fields = {'image/encoded': encoded, 'image/height': height, 'image/width': width, 'image/class/label': label,
              'image/format': b'jpg' if name == 'flowers' else b'png'}
    if name == 'imagenet':
        boxes = [0.1, 0.25] if label % 2 else []
        fields.update({
            'image/format': b'JPEG', 'image/colorspace': b'RGB', 'image/channels': 3,
            'image/class/synset': b'n01440764', 'image/class/text': CLASSES[name][label].encode(),
            'image/filename': b'n01440764_%d.JPEG' % label, 'image/object/bbox/label': [label] * len(boxes),
            **{f'image/object/bbox/{side}': boxes for side in ('xmin', 'xmax', 'ymin', 'ymax')}})
    return fields


def make_image(name, index, photo, encode):
    """An image file of the kind that a data set holds."""
    if name == 'mnist':
        return encode(photo(28, 28, index)[..., 0])
    if name == 'cifar10':
        return encode(photo(32, 32, index))
    return encode(photo(40 + index, 50, index), 'JPEG', quality=90)


@pytest.fixture
def write_layout(tmp_path, photo, encode):
    """A function that writes the files of one split; it returns the images and labels in their order."""
    def write(name, split_name):
        examples = []
        # ImageNet's labels begin with 1.
        for index in range(NUM_EXAMPLES):
            label = index * (len(CLASSES[name]) - 1) // (NUM_EXAMPLES - 1)
            examples.append((make_image(name, index, photo, encode), max(label, 1) if name == 'imagenet' else label))
        files = FILES[name, split_name]
        for file, part in zip(files, np.array_split(np.arange(NUM_EXAMPLES), len(files)), strict=True):
            with tf.python_io.TFRecordWriter(str(tmp_path / file)) as writer:
                for encoded, label in (examples[index] for index in part):
                    with Image.open(io.BytesIO(encoded)) as image:
                        fields = fields_of(name, encoded, image.size[1], image.size[0], label)
                    example = tf.train.Example(features=tf.train.Features(
                        feature={key: feature(value) for key, value in fields.items()}))
                    writer.write(example.SerializeToString())
        (tmp_path / 'labels.txt').write_text(
            ''.join(f'{label}:{class_name}\n' for label, class_name in enumerate(CLASSES[name])))
        return examples

    return write


@pytest.mark.parametrize(('name', 'split_name'), FILES)
@pytest.mark.parametrize('chosen', ['as slim finds them', 'all by a pattern', 'the last by a pattern'])
def test_files_of_slims_converters_are_read(name, split_name, chosen, write_layout, tmp_path, collect):
    written = write_layout(name, split_name)
    files = FILES[name, split_name]
    pattern = {'as slim finds them': None, 'all by a pattern': '*%s[-_.]*', 'the last by a pattern': files[-1]}[chosen]
    if pattern == files[-1]:
        written = written[-(NUM_EXAMPLES // len(files)):]
    dataset = datasets.get_dataset(name, split_name, os.fspath(tmp_path), pattern)
    assert (dataset.num_examples, dataset.class_names) == (len(written), tuple(CLASSES[name]))
    examples = collect(dataset.examples())
    assert [(example['encoded'], example['label']) for example in examples] == written
    if name == 'imagenet':
        assert [example['name'] for example in examples] == [b'n01440764_%d.JPEG' % label for _, label in written]
    else:
        assert {example['name'].decode().split('#')[0] for example in examples} <= {
            str(tmp_path / file) for file in files}


@pytest.mark.parametrize(('name', 'split_name', 'labels_offset'), [
    ('flowers', 'train', 0), ('cifar10', 'train', 0), ('mnist', 'train', 0), ('imagenet', 'train', 0),
    ('imagenet', 'validation', 1)])
def test_their_images_come_through_the_pipeline(name, split_name, labels_offset, write_layout, tmp_path, collect):
    written = write_layout(name, split_name)
    dataset = datasets.get_dataset(name, split_name, os.fspath(tmp_path))
    preset = preprocessing.get_preprocessing('inception', False)
    batch, = collect(pipeline.batches(dataset, preset, 9, 9, NUM_EXAMPLES, labels_offset=labels_offset))
    assert batch['label'].tolist() == [label - labels_offset for _, label in written]
    encoded = tf.placeholder(tf.string, [])
    image = preset(tf.image.decode_image(encoded, channels=3, expand_animations=False), 9, 9)
    with tf.Session() as session:
        for index, (content, _) in enumerate(written):
            np.testing.assert_allclose(batch['image'][index], session.run(image, {encoded: content}), rtol=0, atol=1e-6)
