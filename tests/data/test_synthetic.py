import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.data import datasets, images, synthetic


@pytest.mark.parametrize(('split_name', 'count'), [('train', 1281167), ('validation', 50000)])
def test_examples_are_as_described(split_name, count, collect):
    dataset = datasets.get_dataset('synthetic', split_name)
    assert (dataset.num_examples, dataset.num_classes, len(dataset.class_names)) == (count, 1000, 1000)
    examples = collect(dataset.source.examples(count - 1002))
    assert [int(example['label']) for example in examples] == [index % 1000 for index in range(count - 1002, count)]
    assert examples[-1]['name'].decode() == f'synthetic/{split_name}/{count - 1}'
    assert len({example['encoded'] for example in examples}) == 1
    # A kilobyte: nothing of a graph's two gigabytes.
    assert len(examples[0]['encoded']) < 2000


def test_batches_come_through_the_pipeline(collect, make_batches):
    batches = collect(make_batches(datasets.get_dataset('synthetic', 'train'), True, 50), 4)
    names = [name for batch in batches for name in batch['name']]
    assert len(set(names)) == 200
    for batch in batches:
        assert batch['label'].tolist() == [int(name.decode().split('/')[-1]) % 1000 for name in batch['name']]
    evaluated, = collect(make_batches(datasets.get_dataset('synthetic', 'validation'), False, 4), 1)
    np.testing.assert_array_equal(evaluated['label'], range(4))


def test_image_is_a_ramp(collect):
    example, = collect(datasets.get_dataset('synthetic', 'train').source.examples(synthetic.NUM_EXAMPLES['train'] - 1))
    pixels = np.add.outer(range(224), range(224)) // 2
    with tf.Session() as session:
        decoded = session.run(images.decode(tf.constant(example['encoded'])))
    np.testing.assert_array_equal(decoded, np.repeat(pixels[..., None], 3, axis=-1))


def test_unknown_split_lists_the_known():
    with pytest.raises(ValueError, match="one of train, validation for the data set 'synthetic'; got 'test'"):
        datasets.get_dataset('synthetic', 'test', os.getcwd())
