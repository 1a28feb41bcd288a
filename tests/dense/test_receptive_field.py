"""Receptive fields against brute-force gradients: which pixels change a row of a map."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import nets_factory, resnet
from nets.dense import graph_field, receptive_field

WIDTH = 9


def short(name, **columns):
    """A network of the family with few channels and one unit in most blocks, so that fields end within small images."""
    layout = nets_factory.networks_map[name].layout
    num_blocks = len(layout.num_units)
    layout = layout._replace(num_units=(1, 2, 1, 1)[:num_blocks], depths=(4,) * num_blocks, **columns)
    if layout.cardinality > 1:
        layout = layout._replace(cardinality=2, group_width=32)
    if layout.root != 'small':
        layout = layout._replace(root_multiplier=1 / 16)
    return resnet.network('net', layout._replace(se_ratio=0.25) if layout.se_ratio else layout)


def positive(shape, dtype=tf.float32, partition_info=None):
    """Weights with which nothing cancels, overflows or is cut off by a ReLU."""
    return tf.random_uniform(shape, 0.5, 1.5, dtype) / float(np.prod(shape[:-1]))


def check_gradients(images, tensor, expected, trials=50):
    """That the gradients of the rows of a map are where they are expected: a bool array [rows, rows of the images].

    There is an image for each row of the map. A pool takes only the largest pixel, and so there are several trials:
    none may find more, and all together must find as much. A few pixels are far larger than all others, so that any may
    be the largest, those beside the padding among them.
    """
    mask = tf.placeholder(tf.float32, [None, None, 1, 1])
    gradient, = tf.gradients(tf.reduce_sum(tensor * mask), images)
    random, found = np.random.RandomState(0), np.zeros_like(expected)
    rows, size = expected.shape
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        while trials and not np.array_equal(found, expected):
            trials -= 1
            pixels = np.exp(4 * random.normal(size=[rows, size, WIDTH, 3]))
            found |= session.run(gradient, {images: pixels, mask: np.eye(rows)[:, :, None, None]}).any((2, 3))
            assert not (found & ~expected).any()
    np.testing.assert_array_equal(found, expected)


def rows_of(computed, size):
    """The exact rows of a field: a bool array [rows of the map, rows of the image]."""
    result = np.zeros([computed.map_size(size), size], bool)
    for row in range(len(result)):
        result[row, computed.rows(row, size)] = True
    return result


def check_reach(reach, rows):
    """That a `Reach` is the first and last of the exact rows, where the image does not end before."""
    checked = [0, 0]
    for i, row in enumerate(map(np.flatnonzero, rows)):
        first, last = i * reach.stride + reach.first, i * reach.stride + reach.last
        assert row[0] == first or first < 0 <= row[0]
        assert row[-1] == last or last >= rows.shape[1]
        checked[0] += first >= 0
        checked[1] += last < rows.shape[1]
    assert all(checked)


CASES = [
    ('resnet_v1_50', {}, [193, 202]),
    ('resnet_v1_50', {'output_stride': 8}, [194]),
    ('resnet_v1_18', {'output_stride': 8, 'store_non_strided_activations': True}, [259]),
    ('resnet_v1_18', {'output_stride': 16, 'store_non_strided_activations': True}, [238]),
    ('resnet_v1_50_beta', {'output_stride': 16, 'multi_grid': [3]}, [288]),
    ('resnet_v2_50', {'output_stride': 16}, [200]),
    ('resnet_v15_50', {'output_stride': 16}, [193, 198]),
    ('resnet_v15_18', {'output_stride': 4}, [196]),
    ('resnet_keras_v2_50', {}, [202]),
    ('resnet_cifar_20', {'output_stride': 2}, [64, 65]),
    ('resnet_nvidia_50', {}, [199, 194]),
    ('resnet_nvidia_50', {'output_stride': 8}, [196]),
]


@pytest.mark.parametrize(('name', 'kwargs', 'sizes'), CASES)
def test_fields_are_the_pixels_of_nonzero_gradient(name, kwargs, sizes):
    network = short(name)
    images = tf.placeholder(tf.float32, [None, None, WIDTH, 3])
    with slim.arg_scope(network.arg_scope(weights_initializer=positive)):
        net, end_points = network(images, is_training=False, global_pool=False, **kwargs)
    strided = [key for key in end_points if '/block2/unit_2/' in key and key.endswith('conv2')]
    for end_point, tensor in [(None, net)] + [(key, end_points[key]) for key in strided]:
        computed = receptive_field.of_network(network, end_point, **kwargs)
        for size in sizes:
            rows = rows_of(computed, size)
            check_gradients(images, tensor, rows)
            check_reach(computed.reach(size), rows)


@pytest.mark.parametrize('name', ['resnet_v1_50', 'resnet_v2_50', 'resnet_v15_18', 'resnet_v1_18_beta',
                                  'resnet_cifar_20', 'se_resnext_50_32x4d'])
def test_every_end_point_that_is_a_map_has_a_field_and_it_is_that_of_the_graph(name):
    network = short(name)
    images = tf.placeholder(tf.float32, [1, 65, 65, 3])
    with slim.arg_scope(network.arg_scope()):
        net, end_points = network(images, is_training=False, global_pool=False)
    fields = receptive_field.of_blocks(network.layout.blocks(), network.layout.root_block(), scope='net/')
    assert list(fields) == list(end_points)
    for key, tensor in end_points.items():
        from_graph = graph_field.of_graph(images, tensor)
        assert fields[key].is_bounded == from_graph.is_bounded
        if tensor.shape.as_list()[1] > 1:
            assert fields[key].local().reach(64) == from_graph.local().reach(64)
            assert fields[key].map_size(65) == tensor.shape.as_list()[1]
            np.testing.assert_array_equal(rows_of(fields[key], 50), rows_of(from_graph, 50))
