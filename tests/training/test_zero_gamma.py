"""Units start as their shortcuts in every network whose units can."""

import narrow_rows
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import nets_factory, resnet
from nets.training import zero_gamma


def _gammas(name, layout, getter=None):
    """Initial values of all gammas of a narrow network."""
    with tf.Graph().as_default(), tf.Session() as session:
        builder = resnet.network('narrow', layout)
        with slim.arg_scope(builder.arg_scope()), tf.variable_scope('', custom_getter=getter):
            builder(tf.zeros([1, 33, 33, 3]), num_classes=3)
        session.run(tf.global_variables_initializer())
        return session.run({one.op.name: one for one in tf.trainable_variables() if one.op.name.endswith('gamma')})


@pytest.mark.parametrize('name', ['resnet_v1_50', 'resnet_v15_18', 'se_resnext_50_32x4d'])
def test_same_gammas_are_zero_as_in_a_layout_that_says_so(name):
    layout = narrow_rows.narrow(name)
    got = _gammas(name, layout, zero_gamma.variable_getter(name))
    expected = _gammas(name, layout._replace(zero_last_gamma=True))
    assert sorted(got) == sorted(expected)
    for variable, value in expected.items():
        np.testing.assert_array_equal(got[variable], value, err_msg=variable)
    zeros = [variable for variable, value in got.items() if not value.any()]
    assert len(zeros) == 2 * len(layout.num_units)


def test_networks_that_cannot_are_refused():
    with pytest.raises(ValueError, match='zero_last_gamma needs units .* those of resnet_v2_50 do not'):
        zero_gamma.variable_getter('resnet_v2_50')


def test_every_network_can_or_is_refused():
    refused = []
    for name in nets_factory.networks_map:
        try:
            zero_gamma.variable_getter(name)
        except ValueError:
            refused.append(name)
    assert refused
    assert all('v2' in name for name in refused)
