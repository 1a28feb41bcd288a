"""Tiles against the whole image: the same numbers, for every size and every kind of network."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from golden import fill_variables
from test_receptive_field import short

from nets.dense import graph_field, receptive_field, tiling


class Network:
    """A network that runs on images of any size and notes their shapes."""

    def __init__(self, name, end_point=None, classes=None, head=None, **kwargs):
        network = short(name)
        self.graph, self.shapes = tf.Graph(), []
        with self.graph.as_default():
            self.images = tf.placeholder(tf.float32, [1, None, None, 3])
            with slim.arg_scope(network.arg_scope()):
                net, end_points = network(self.images, num_classes=classes, is_training=False, global_pool=False,
                                          spatial_squeeze=False, **kwargs)
            self.net = end_points[end_point] if end_point else net
            self.session = tf.Session()
            fill_variables(self.session)
        self.field = receptive_field.of_network(network, end_point, **kwargs)

    def __call__(self, images):
        self.shapes.append(images.shape)
        return self.session.run(self.net, {self.images: images})


def photograph(height, width):
    return np.random.RandomState(3).uniform(-1, 1, [height, width, 3]).astype(np.float32)


CASES = [
    ('resnet_v1_50', None, {}, 32),
    ('resnet_v1_50', None, {'output_stride': 8}, 8),
    ('resnet_v2_50', None, {'output_stride': 16}, 16),
    ('resnet_v15_50', None, {'output_stride': 16}, 16),
    ('resnet_v1_18', None, {'output_stride': 8}, 8),
    ('resnet_v1_50_beta', None, {'output_stride': 16, 'multi_grid': [2]}, 16),
    ('resnet_nvidia_50', None, {}, 32),
    ('resnet_cifar_20', None, {}, 4),
    ('resnet_v1_50', 'net/block1', {}, 8),
]


@pytest.mark.parametrize(('name', 'end_point', 'kwargs', 'stride'), CASES)
def test_tiles_give_the_whole_image(name, end_point, kwargs, stride):
    network = Network(name, end_point, **kwargs)
    reach = network.field.reach()
    tile = reach.size + 2 * stride + 7
    assert reach.stride == stride
    for height, width in [(2 * tile, tile + 1), (tile - 30, 2 * tile + 3 * stride + 5)]:
        image = photograph(height, width)
        whole = network(image[np.newaxis])[0]
        network.shapes.clear()
        tiled = tiling.Tiler(network, network.field, tile).run(image)
        assert len(network.shapes) > 1
        assert len(set(network.shapes)) == 1
        assert max(network.shapes[0][1:3]) <= tile
        assert tiled.shape == whole.shape
        np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5 * np.abs(whole).max())
