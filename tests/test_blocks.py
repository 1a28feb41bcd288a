"""The parts of a network equal TensorFlow 1.15's, one by one."""

import contextlib

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill

from nets import resnet_utils

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py


def cases(key):
    for folder in (golden.FOLDER, golden.LATER):
        for i, case in enumerate(fill.load('blocks', folder)[key]):
            yield pytest.param(case, id='-'.join([
                'later' if folder == golden.LATER else 'contrib', case.get('function', 'stride'), str(i)]))


def build(case, net):
    """Calls the function of a case."""
    kwargs = dict(case['kwargs'])
    function = case['function']
    if function == 'bottleneck':
        return golden.module_of(case['net']).bottleneck(net, **kwargs)
    if function == 'stack_blocks_dense':
        bottleneck = golden.module_of(case['net']).bottleneck
        with slim.arg_scope([resnet_utils.stack_blocks_dense, bottleneck], outputs_collections='collected'):
            return resnet_utils.stack_blocks_dense(
                net, [resnet_utils.Block(block['scope'], bottleneck, block['args']) for block in case['blocks']],
                **kwargs)
    return getattr(resnet_utils, function)(net, **kwargs)


@pytest.mark.parametrize('case', list(cases('cases')))
def test_part_equals_tensorflow_1(case):
    net = tf.placeholder(tf.float32, case['input']['shape'])
    scope = golden.arg_scope(case)
    with contextlib.ExitStack() as stack:
        if scope is not None:
            stack.enter_context(slim.arg_scope(scope))
        stack.enter_context(slim.arg_scope([slim.batch_norm], is_training=case.get('is_training', False)))
        if 'raises' in case:
            assert case['raises']['type'] == 'ValueError'
            with pytest.raises(ValueError, match=r'stride'):
                build(case, net)
            return
        output = build(case, net)
    if 'variables' in case:
        assert [v.op.name for v in tf.global_variables()] == case['variables']
    if case.get('returns_its_input') is not None:
        assert (output is net) == case['returns_its_input']
    collected = {str(i): tensor for i, tensor in enumerate(tf.get_collection('collected'))}
    with tf.Session() as session:
        golden.fill_variables(session, case.get('salt', ''))
        feed = {net: golden.images_of(case)}
        values = session.run(output, feed)
        collected = session.run(collected, feed)
    limit = golden.TRAINING_LIMIT if case.get('is_training') else golden.INFERENCE_LIMIT
    assert fill.compare('output', values, case['output'])['scaled'] < limit
    if 'collected' in case:
        expected = fill.end_points(case, 'collected')
        assert sorted(collected) == sorted(expected)
        assert golden.worst({name: collected[name] for name in expected}, expected) < limit


@pytest.mark.parametrize('case', list(cases('output_strides')))
def test_networks_accept_the_same_output_strides(case):
    case = dict(case, kwargs=dict(case['kwargs'], spatial_squeeze=False))
    if 'raises' in case:
        with pytest.raises(ValueError, match=r'output_stride must be one of 4, 8, 16, 32 or None; got '):
            golden.build(case)
        assert not tf.global_variables()
    else:
        assert golden.build(case)[1].shape.as_list() == case['output_shape']


def test_a_wrong_value_is_seen():
    """The comparison that all others here rest on can fail."""
    case = next(case for case in fill.load_cases('blocks', golden.FOLDER) if case['function'] == 'subsample')
    assert fill.compare('output', np.add(golden.images_of(case), 1e-3), case['output'])['scaled'] > 1e-4
