"""Receptive fields against brute-force gradients: which pixels change a row of a map."""

import functools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, nets_factory, resnet, resnet_utils
from nets.dense import field, graph_field, model, receptive_field

WIDTH = 9
NARROW = {'depth_multiplier': 1 / 16, 'min_base_depth': 4}


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

    There is an image for each of the first, middle and last rows of the map. A pool takes only the largest pixel, and
    so there are several trials: none may find more, and all together must find as much. A few pixels are far larger
    than all others, so that any may be the largest, those beside the padding among them.
    """
    mask = tf.placeholder(tf.float32, [None, None, 1, 1])
    gradient, = tf.gradients(tf.reduce_sum(tensor * mask), images)
    rows, size = expected.shape
    checked = sorted({0, 1, rows // 2, rows // 2 + 1, rows - 2, rows - 1})
    expected, masks = expected[checked], np.eye(rows)[checked]
    random, found = np.random.RandomState(0), np.zeros_like(expected)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        while trials and not np.array_equal(found, expected):
            trials -= 1
            pixels = np.exp(4 * random.normal(size=[len(checked), size, WIDTH, 3]))
            found |= session.run(gradient, {images: pixels, mask: masks[:, :, None, None]}).any((2, 3))
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
    ('resnet_v1_50', {}, [193, 204]),
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


@pytest.mark.parametrize(('name', 'size'), [('resnet_v1_50', 483), ('resnet_v1_101', 1027), ('resnet_v1_152', 1507),
                                            ('resnet_v1_200', 1763)])
@pytest.mark.parametrize('output_stride', [None, 16, 8])
def test_sizes_are_those_that_were_published(name, size, output_stride):
    """Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019, table of models."""
    assert receptive_field.of_network(name, output_stride=output_stride).reach().size == size


@pytest.mark.parametrize('head', ['branches', 'decoder'])
def test_fields_of_heads_are_the_pixels_of_nonzero_gradient(head):
    network = short('resnet_v1_50')

    def build(images):
        conv = functools.partial(layers.conv2d, num_outputs=2, weights_initializer=positive)
        with slim.arg_scope(network.arg_scope(weights_initializer=positive)):
            net, end_points = network(images, is_training=False, global_pool=False, output_stride=16)
        if head == 'branches':
            return tf.concat([conv(net, kernel_size=1), conv(net, kernel_size=3, rate=2)], 3)
        finer = end_points['net/block1/unit_1/bottleneck_v1/conv1']
        net = tf.image.resize_bilinear(conv(net, kernel_size=1), finer.shape[1:3], align_corners=True)
        return conv(tf.concat([net, finer], 3), kernel_size=3)

    size = 305 if head == 'branches' else 209
    coarse = receptive_field.of_network(network, output_stride=16)
    finer = receptive_field.of_network(network, 'net/block1/unit_1/bottleneck_v1/conv1')
    computed = (field.joined([coarse, coarse.then(3, rate=2)]) if head == 'branches' else
                field.joined([coarse.resized(4), finer]).then(3))
    images = tf.placeholder(tf.float32, [None, size, WIDTH, 3])
    rows = rows_of(computed, size)
    check_gradients(images, build(images), rows)
    from_graph = graph_field.of_function(build, size)
    assert from_graph.reach() == computed.reach()
    assert from_graph.alignment == computed.alignment == 16
    assert from_graph.needs_corners == computed.needs_corners == (head == 'decoder')
    np.testing.assert_array_equal(rows_of(from_graph, size), rows)
    for row, seen in enumerate(rows):
        first, last = np.flatnonzero(seen)[[0, -1]] - row * computed.reach().stride
        assert first >= computed.reach().first
        assert last <= computed.reach().last


@pytest.mark.parametrize(('head', 'options', 'bounded', 'corners'), [
    ('fcn', {}, True, True), ('deeplab_v2', {}, True, False), ('deeplab_v3', {'image_pooling': False}, True, False),
    ('deeplab_v3plus', {}, False, True), ('psp', {}, False, False)])
def test_the_heads_have_fields(head, options, bounded, corners):
    network_fn = model.get_network_fn('resnet_v1_14', head, 2, backbone_options=NARROW, **options)
    found = graph_field.of_function(lambda images: network_fn(images)[0], size=65)
    assert (found.is_bounded, found.needs_corners) == (bounded, corners)
    if head == 'deeplab_v2':
        features = receptive_field.of_network('resnet_v1_14', output_stride=16)
        assert found.reach() == field.joined([features.then(3, rate=rate) for rate in (3, 6, 9, 12)]).reach()
    if not bounded:
        assert found.local().reach().size > found.alignment
        with pytest.raises(ValueError, match=r'unbounded.*Use\s+field.local\(\)'):
            found.reach()


def test_pooled_fields_are_the_whole_image():
    features = receptive_field.of_network('se_resnext_50_32x4d')
    assert not features.is_bounded
    np.testing.assert_array_equal(features.rows(2, 224), np.arange(224))
    assert features.local().reach() == receptive_field.of_network('resnext_50_32x4d').reach()
    assert list(field.Field([field.Layer(())]).pooled().rows(0, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match='nothing but what is pooled'):
        features.pooled().local()


def test_what_has_no_field_is_an_error():
    with pytest.raises(ValueError, match="no end point 'resnet_v1_50/block5'.*resnet_v1_50/conv1, "):
        receptive_field.of_network('resnet_v1_50', 'resnet_v1_50/block5')
    with pytest.raises(ValueError, match='output_stride must be one of 4, 8, 16, 32 or None; got 6'):
        receptive_field.of_network('resnet_v1_50', output_stride=6)
    with pytest.raises(ValueError, match='Unknown network'):
        receptive_field.of_network('resnet_v1_51')
    block = resnet_utils.Block('block1', lambda net, rate: net, [{'stride': 2}])
    with pytest.raises(ValueError, match='block1.*graph_field.of_graph'):
        receptive_field.of_blocks([block])
    features = receptive_field.of_network('resnet_v1_50', output_stride=16)
    with pytest.raises(ValueError, match='one of the 5 of the map, from 0; got 5'):
        features.rows(5, 65)
    finer = receptive_field.of_network('resnet_v1_50', 'resnet_v1_50/conv1')
    with pytest.raises(ValueError, match='strides 2 and 16 meet'):
        field.joined([features, finer])
    with pytest.raises(ValueError, match='its size must be a multiple of 16 plus 1'):
        field.joined([features.resized(8), finer]).map_size(60)
    with pytest.raises(ValueError, match='stride 16 cannot be resized by 3'):
        features.resized(3)


@pytest.mark.parametrize(('build', 'message'), [
    (lambda images: images[:, ::2], 'type StridedSlice'),
    (lambda images: tf.concat([images, images], 1), 'changes the height or width'),
    (lambda images: tf.zeros([1, 9, 9, 3]), 'does not depend on'),
    (lambda images: tf.image.resize_bilinear(images, [17, 17]), 'align_corners=True'),
    (lambda images: tf.image.resize_bilinear(images, [12, 12], align_corners=True), 'align_corners=True'),
    (lambda images: tf.nn.max_pool(images, [1, 3, 1, 1], [1] * 4, 'SAME'), 'not the same for height and width'),
])
def test_graphs_that_are_not_the_same_everywhere_are_an_error(build, message):
    with pytest.raises(ValueError, match=message):
        graph_field.of_function(build, size=9)


def test_images_of_unknown_size_are_an_error():
    images = tf.placeholder(tf.float32, [1, None, 9, 3])
    with pytest.raises(ValueError, match='known height and width'):
        graph_field.of_graph(images, images)
