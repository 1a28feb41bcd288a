"""Parameters and multiply-adds, against published numbers and against counts by hand."""

import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import complexity, convolution, layers, nets_factory, resnet, resnet_utils

# Published with torchvision's weights: parameters, and billions of multiply-adds at 224 pixels ("GFLOPS").
PUBLISHED = {
    'resnet_v15_18': (11689512, 1.81),
    'resnet_v15_34': (21797672, 3.66),
    'resnet_v15_50': (25557032, 4.09),
    'resnet_v15_101': (44549160, 7.80),
    'resnet_v15_152': (60192808, 11.51),
    'resnext_50_32x4d': (25028904, 4.23),
    'resnext_101_32x8d': (88791336, 16.41),
    'resnext_101_64x4d': (83455272, 15.46),
    'wide_resnet_50_2': (68883240, 11.40),
    'wide_resnet_101_2': (126886696, 22.75),
}


@pytest.mark.parametrize('name', sorted(PUBLISHED))
def test_networks_have_the_published_parameters_and_multiply_adds(name):
    parameters, billions = PUBLISHED[name]
    nets_factory.get_network_fn(name, 1000)(tf.placeholder(tf.float32, [None, 224, 224, 3]))
    counted = complexity.count(name)
    assert counted.parameters == parameters
    assert round(counted.multiply_adds / 1e9, 2) == billions
    assert counted == complexity.count()


def small(image_size, cardinality=1, **kwargs):
    """Builds a narrow network in the default graph."""
    layout = resnet.Layout(num_units=(1, 2, 1), depths=(64, 64, 128), cardinality=cardinality,
                           group_width=64 // cardinality)
    with slim.arg_scope(resnet_utils.resnet_arg_scope()):
        return resnet.network('small', layout)(tf.placeholder(tf.float32, [None, image_size, image_size, 3]),
                                               is_training=False, **kwargs)


def by_hand(end_points):
    """Multiply-adds from the shapes of end points and variables: every weight at every place of the result."""
    weights = {variable.op.name[:-len('/weights')]: variable.shape.num_elements()
               for variable in tf.trainable_variables() if variable.op.name.endswith('/weights')}
    assert set(weights) <= set(end_points)
    return sum(size * end_points[name].shape.as_list()[1] * end_points[name].shape.as_list()[2]
               for name, size in weights.items())


@pytest.mark.parametrize('image_size', [64, 65])
@pytest.mark.parametrize('output_stride', [None, 8, 4])
@pytest.mark.parametrize('cardinality', [1, 8])
def test_every_weight_counts_once_at_every_place(image_size, output_stride, cardinality):
    _, end_points = small(image_size, cardinality, num_classes=7, output_stride=output_stride)
    assert complexity.count('small').multiply_adds == by_hand(end_points)


@pytest.mark.parametrize('one_op', [True, False])
def test_both_forms_of_a_grouped_convolution_count_the_same(one_op):
    with slim.arg_scope([convolution.grouped], one_op=one_op):
        layers.conv2d(tf.zeros([3, 8, 9, 12]), 8, [3, 5], num_groups=4, scope='conv')
    assert complexity.count('conv') == complexity.Complexity(3 * 5 * 3 * 8 + 8, 0, 8 * 9 * 3 * 5 * 3 * 8)


def test_depthwise_convolutions_matrices_and_channels_first():
    images = tf.zeros([2, 6, 5, 4])
    with tf.name_scope('depthwise'):
        tf.nn.depthwise_conv2d(images, tf.zeros([3, 3, 4, 2]), [1, 1, 1, 1], 'SAME')
    with tf.name_scope('dense'):
        tf.matmul(tf.zeros([2, 7]), tf.zeros([3, 7]), transpose_b=True)
    with tf.name_scope('channels_first'):
        tf.nn.conv2d(tf.zeros([2, 4, 6, 5]), tf.zeros([1, 1, 4, 3]), strides=[1, 1, 1, 1], padding='SAME',
                     data_format='NCHW')
    each = complexity.count_each(['depthwise', 'dense', 'channels_first'])
    assert list(each) == ['depthwise', 'dense', 'channels_first']
    assert [counted.multiply_adds for counted in each.values()] == [6 * 5 * 9 * 4 * 2, 7 * 3, 6 * 5 * 4 * 3]


def test_parts_add_up_to_the_whole():
    _, end_points = small(65, num_classes=7)
    parts = [name for name in end_points if name.count('/') == 1 and name != 'small/spatial_squeeze']
    assert parts == ['small/conv1', 'small/block1', 'small/block2', 'small/block3', 'small/logits']
    each = complexity.count_each(parts).values()
    assert complexity.Complexity(*map(sum, zip(*each))) == complexity.count('small')


def test_statistics_are_no_parameters():
    layers.conv2d(tf.zeros([1, 4, 4, 3]), 5, [1, 1], normalizer_fn=slim.batch_norm, normalizer_params={'scale': True},
                  scope='conv')
    assert complexity.count('conv')[:2] == (3 * 5 + 2 * 5, 2 * 5)


def test_gradients_optimizers_and_initial_values_do_not_count():
    _, end_points = small(33, num_classes=7)
    before = complexity.count('small')
    dense = tf.get_variable('dense/weights', [9, 9], initializer=lambda shape, **_: tf.matmul(*[tf.zeros(shape)] * 2))
    loss = tf.reduce_sum(end_points['predictions']) + tf.reduce_sum(dense)
    tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, global_step=tf.train.get_or_create_global_step())
    assert complexity.count('small') == before
    assert complexity.count('dense') == complexity.Complexity(81, 0, 0)


def test_scopes_are_whole_components_of_names():
    layers.conv2d(tf.zeros([1, 2, 2, 3]), 5, [1, 1], scope='conv')
    layers.conv2d(tf.zeros([1, 2, 2, 3]), 5, [1, 1], scope='conv2')
    assert complexity.count('conv').multiply_adds == 4 * 15
    assert complexity.count().multiply_adds == 8 * 15
    with pytest.raises(ValueError, match="nothing in the scope 'con'.*there are conv, conv2, zeros"):
        complexity.count('con')


@pytest.mark.parametrize('shape', [[None, None, None, 3], [None, 32, None, 3]])
def test_unknown_sizes_leave_the_multiply_adds_open(shape):
    layers.conv2d(tf.placeholder(tf.float32, shape), 5, [1, 1], scope='conv')
    assert complexity.count('conv') == complexity.Complexity(20, 0, None)


def test_another_graph_than_the_default_one():
    graph = tf.Graph()
    with graph.as_default():
        layers.conv2d(tf.zeros([1, 2, 2, 3]), 5, [1, 1], scope='conv')
    assert complexity.count('conv', graph).multiply_adds == 4 * 15
    with pytest.raises(ValueError, match='there are none'):
        complexity.count('conv')
