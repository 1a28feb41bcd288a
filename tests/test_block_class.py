"""A `Block` is the namedtuple it always was, can be made from a base depth, and builds itself."""

import pickle

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill

from nets import resnet_utils, resnet_v1, units

SIZES = [(16, 16), (17, 18)]


def tiny_block(**kwargs):
    return resnet_utils.Block('block', **dict({'base_depth': 2, 'num_units': 2, 'stride': 2}, **kwargs))


def test_a_block_stays_a_namedtuple():
    args = [{'depth': 8, 'depth_bottleneck': 2, 'stride': 2}]
    block = resnet_utils.Block('block1', resnet_v1.bottleneck, args)
    scope, unit_fn, unpacked = block
    assert (scope, unit_fn, unpacked) == ('block1', resnet_v1.bottleneck, args) == block
    assert resnet_utils.Block(args=args, scope='block1', unit_fn=resnet_v1.bottleneck) == block
    assert block._replace(scope='other') == ('other', resnet_v1.bottleneck, args)
    assert block._asdict()['args'] is args
    again = pickle.loads(pickle.dumps(block))
    assert again == block
    assert type(again) is resnet_utils.Block
    assert resnet_utils.Block._fields == ('scope', 'unit_fn', 'args')


@pytest.mark.parametrize(('unit_fn', 'expected'), [
    (None, [{'depth': 256, 'depth_bottleneck': 64, 'stride': 1}] * 2 + [
        {'depth': 256, 'depth_bottleneck': 64, 'stride': 2}]),
    (units.basic, [{'depth': 64, 'stride': 1}] * 2 + [{'depth': 64, 'stride': 2}]),
])
def test_a_block_is_made_from_a_base_depth(unit_fn, expected):
    block = resnet_utils.Block('block1', unit_fn=unit_fn, base_depth=64, num_units=3, stride=2)
    assert block == ('block1', unit_fn or resnet_v1.bottleneck, expected)
    assert len({id(unit) for unit in block.args}) == 3


@pytest.mark.parametrize(('args', 'keywords', 'given'), [
    ((), {}, 'none of these'),
    ((units.basic,), {}, 'unit_fn'),
    ((), {'base_depth': 64, 'num_units': 3}, 'base_depth, num_units'),
    ((units.basic, []), {'stride': 2}, 'args, stride, unit_fn'),
    ((None, []), {'base_depth': 64, 'num_units': 3, 'stride': 2}, 'args, base_depth, num_units, stride'),
    ((), {'base_depth': 64, 'num_units': 3, 'strides': 2}, 'base_depth, num_units, strides'),
])
def test_mixed_or_missing_arguments_are_told(args, keywords, given):
    with pytest.raises(TypeError, match=r"Block\('block1', …\) takes unit_fn and args; or, .* got {}\.$".format(given)):
        resnet_utils.Block('block1', *args, **keywords)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('output_stride', [None, 1, 2])
@pytest.mark.parametrize('unit_fn', [units.bottleneck, units.basic])
def test_a_called_block_is_the_stack_of_that_block(unit_fn, output_stride, size):
    block = tiny_block(unit_fn=unit_fn)
    images = tf.placeholder(tf.float32, (2,) + size + (3,))
    alone = block(images, output_stride=output_stride, outputs_collections='alone')
    with tf.variable_scope('', reuse=True):
        stacked = resnet_utils.stack_blocks_dense(images, [block], output_stride, outputs_collections='stacked')
    assert tf.get_collection('alone') == [alone]
    assert alone.aliases == ['block']
    with tf.Session() as session:
        golden.fill_variables(session)
        a, b = session.run([alone, stacked], {images: fill.images((2,) + size + (3,), 1)})
    np.testing.assert_array_equal(a, b)
    assert np.abs(a).max() > 0.1


@pytest.mark.parametrize('size', SIZES)
def test_blocks_called_one_after_the_other_go_on_at_the_rate(size):
    """What `stack_blocks_dense` does with two blocks, by hand."""
    first, second = tiny_block(), tiny_block()._replace(scope='second')
    images = tf.placeholder(tf.float32, (2,) + size + (3,))
    stacked = resnet_utils.stack_blocks_dense(images, [first, second], output_stride=1)
    with tf.variable_scope('', reuse=True):
        by_hand = second(first(images, output_stride=1), rate=2, output_stride=1)
        wrong = second(first(images, output_stride=1), rate=1, output_stride=1)
    with tf.Session() as session:
        golden.fill_variables(session)
        a, b, c = session.run([stacked, by_hand, wrong], {images: fill.images((2,) + size + (3,), 1)})
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 1e-2


def test_a_rate_goes_with_no_stride():
    with pytest.raises(ValueError, match='a stride or a rate above 1, not both; got stride 2 and rate 2'):
        tiny_block()(tf.zeros([1, 8, 8, 3]), rate=2)
    with pytest.raises(ValueError, match=r'output_stride must be one of 1, 2 or None; got 4'):
        tiny_block()(tf.zeros([1, 8, 8, 3]), output_stride=4)


def test_the_recipe_of_four_blocks_in_a_row_runs_and_trains():
    """Tutorials call blocks like layers, without batch normalisation."""
    inputs = tf.placeholder(tf.float32, [None, 56, 56, 3])
    with slim.arg_scope([slim.conv2d, slim.fully_connected], activation_fn=tf.nn.relu,
                        weights_initializer=slim.xavier_initializer()), tf.variable_scope('ResNet'):
        net = inputs
        for i, (num_units, stride) in enumerate([(3, 2), (4, 2), (6, 1), (3, 1)]):
            net = resnet_utils.Block('Block_{}'.format(i), base_depth=64, num_units=num_units, stride=stride)(net)
        net = tf.reduce_mean(net, [1, 2])
        logits = slim.fully_connected(net, 5, activation_fn=None)
    assert net.shape.as_list() == [None, 256]
    names = [v.op.name for v in tf.global_variables()]
    assert len(names) == 2 * (16 * 3 + 1 + 1)  # weights and biases; one projection; the classifier
    assert names[:2] == ['ResNet/Block_0/unit_1/bottleneck_v1/shortcut/' + name for name in ('weights', 'biases')]
    assert 'ResNet/Block_3/unit_3/bottleneck_v1/conv3/weights' in names
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[0, 1], logits=logits))
    train = tf.train.GradientDescentOptimizer(0.01).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        feed = {inputs: fill.images([2, 56, 56, 3], 1)}
        losses = [session.run([loss, train], feed)[0] for _ in range(4)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
