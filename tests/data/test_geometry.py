import itertools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.data import geometry

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py


@pytest.mark.parametrize('dtype', [tf.uint8, tf.float32])
def test_nearest_takes_the_pixels_that_tensorflow_takes(dtype):
    image = tf.placeholder(dtype, [None, None, 3])
    sizes = [(224, 224), (7, 5), (1, 3)]
    pairs = [(geometry.resize_nearest(image, *size), tf.raw_ops.ResizeNearestNeighbor(images=image[tf.newaxis],
                                                                                      size=size)[0]) for size in sizes]
    with tf.Session() as session:
        for old_size in itertools.product([1, 2, 37, 223, 224, 301], [1, 61, 225, 448]):
            pixels = np.random.RandomState(0).randint(0, 256, [*old_size, 3])
            for ours, expected in session.run(pairs, {image: pixels}):
                np.testing.assert_array_equal(ours, expected)


def test_windows_equal_crops_of_the_resized_image():
    image = tf.placeholder(tf.uint8, [None, None, 3])
    size, start = tf.placeholder(tf.int32, [2]), tf.placeholder(tf.int32, [2])
    window = (9, 14)
    ours = geometry.resize_window(image, tf.unstack(size), tf.unstack(start), window)
    expected = geometry.crop(geometry.resize(image, *tf.unstack(size)), *tf.unstack(start), *window)
    random = np.random.RandomState(0)
    with tf.Session() as session:
        for old_size in itertools.product([1, 2, 20, 375], [1, 3, 33, 500]):
            pixels = random.randint(0, 256, [*old_size, 3])
            for new_size in (window, (9, 15), (20, 33), (21, 200), (600, 777)):
                room = np.subtract(new_size, window)
                for part in (room * 0, room, random.randint(0, room + 1)):
                    values = session.run([ours, expected], {image: pixels, size: new_size, start: part})
                    np.testing.assert_array_equal(*values)
