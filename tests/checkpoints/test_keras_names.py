"""The map between the names and arrays of Keras Applications and ours, by itself."""

import numpy as np
import pytest

from nets.checkpoints import keras_names

V1 = keras_names.kind_of('resnet_keras_50')
V2 = keras_names.kind_of('resnet_keras_v2_101')
RESNEXT = keras_names.kind_of('resnext_keras_50_32x4d')

STATISTICS = ['gamma', 'beta', 'moving_mean', 'moving_variance']
NUM_UNITS = {V1: (3, 4, 6, 3), V2: (3, 8, 36, 3), RESNEXT: (3, 4, 6, 3)}


def names_of(kind):
    """The variables of a network, written down from the layers of Keras Applications."""
    v2 = kind is V2
    convs = ['conv1/weights'] + ([] if kind is RESNEXT else ['conv1/biases'])
    names = convs + ['logits/weights', 'logits/biases'] + [
        ('postnorm/' if v2 else 'conv1/BatchNorm/') + statistic for statistic in STATISTICS]
    for block, num_units in enumerate(NUM_UNITS[kind], 1):
        for unit in range(1, num_units + 1):
            scope = 'block{}/unit_{}/{}/'.format(block, unit, kind.unit)
            for conv in ['conv1', 'conv2', 'conv3'] + (['shortcut'] if unit == 1 else []):
                biased = conv in ('conv3', 'shortcut') if v2 else kind is not RESNEXT
                names += [scope + conv + '/weights'] + ([scope + conv + '/biases'] if biased else [])
                if not v2 or conv in ('conv1', 'conv2'):
                    names += [scope + conv + '/BatchNorm/' + statistic for statistic in STATISTICS]
            names += [scope + 'preact/' + statistic for statistic in STATISTICS] if v2 else []
    return names


@pytest.mark.parametrize(('kind', 'keras', 'ours'), [
    (V1, 'conv1_conv/kernel', 'conv1/weights'),
    (V1, 'conv1_conv/bias', 'conv1/biases'),
    (V1, 'conv1_bn/gamma', 'conv1/BatchNorm/gamma'),
    (V1, 'conv2_block1_0_conv/kernel', 'block1/unit_1/bottleneck_v1/shortcut/weights'),
    (V1, 'conv2_block1_0_bn/beta', 'block1/unit_1/bottleneck_v1/shortcut/BatchNorm/beta'),
    (V1, 'conv4_block23_1_conv/kernel', 'block3/unit_23/bottleneck_v1/conv1/weights'),
    (V1, 'conv5_block3_3_bn/moving_variance', 'block4/unit_3/bottleneck_v1/conv3/BatchNorm/moving_variance'),
    (V1, 'predictions/kernel', 'logits/weights'),
    (V1, 'predictions/bias', 'logits/biases'),
    (V2, 'conv2_block1_preact_bn/moving_mean', 'block1/unit_1/bottleneck_v2/preact/moving_mean'),
    (V2, 'conv3_block2_2_conv/kernel', 'block2/unit_2/bottleneck_v2/conv2/weights'),
    (V2, 'conv3_block2_3_conv/bias', 'block2/unit_2/bottleneck_v2/conv3/biases'),
    (V2, 'post_bn/gamma', 'postnorm/gamma'),
    (RESNEXT, 'conv2_block3_2_conv/depthwise_kernel', 'block1/unit_3/bottleneck_v1/conv2/weights'),
])
def test_current_names_are_the_known_ones_both_ways(kind, keras, ours):
    assert keras_names.slim_name(keras, kind) == ours
    assert keras_names.keras_name(ours, kind) == keras


@pytest.mark.parametrize(('keras', 'ours'), [
    ('conv1/kernel', 'conv1/weights'),
    ('bn_conv1/moving_mean', 'conv1/BatchNorm/moving_mean'),
    ('res2a_branch1/bias', 'block1/unit_1/bottleneck_v1/shortcut/biases'),
    ('bn2a_branch1/gamma', 'block1/unit_1/bottleneck_v1/shortcut/BatchNorm/gamma'),
    ('res3d_branch2a/kernel', 'block2/unit_4/bottleneck_v1/conv1/weights'),
    ('bn4f_branch2b/beta', 'block3/unit_6/bottleneck_v1/conv2/BatchNorm/beta'),
    ('res5c_branch2c/kernel', 'block4/unit_3/bottleneck_v1/conv3/weights'),
    ('fc1000/kernel', 'logits/weights'),
])
def test_first_names_are_the_known_ones_both_ways(keras, ours):
    assert keras_names.slim_name(keras, V1) == ours
    assert keras_names.keras_name(ours, V1, 'first') == keras


@pytest.mark.parametrize(('keras', 'ours'), [
    ('probs/kernel', 'logits/weights'),
    ('conv2_block3_2_conv/kernel', 'block1/unit_3/bottleneck_v1/conv2/weights'),
    ('res2a_branch2a/W', 'block1/unit_1/bottleneck_v1/conv1/weights'),
    ('fc1000/b', 'logits/biases'),
    ('bn_conv1/running_mean', 'conv1/BatchNorm/moving_mean'),
    ('bn_conv1/running_std', 'conv1/BatchNorm/moving_variance'),
])
def test_further_spellings_are_read(keras, ours):
    assert keras_names.slim_name(keras, RESNEXT) == ours


@pytest.mark.parametrize('name', [
    'dense/kernel', 'conv1_conv/gamma', 'conv1_bn/kernel', 'conv2_block1_4_conv/kernel', 'conv2_block1_out/kernel',
    'res2A_branch2a/kernel', 'res2a_branch3/kernel', 'conv1_conv', 'kernel', '', 'conv1_conv/',
    'conv2_blockx_1_conv/kernel', '*_1_conv/kernel', 'conv*_1_conv/kernel'])
def test_other_names_are_of_no_network(name):
    assert keras_names.slim_name(name, V1) is None


@pytest.mark.parametrize(('kind', 'generation'), [
    (V1, 'current'), (V2, 'current'), (RESNEXT, 'current'), (V1, 'first')], ids=['v1', 'v2', 'resnext', 'first'])
def test_names_go_and_come_back(kind, generation):
    names = names_of(kind)
    keras = [keras_names.keras_name(name, kind, generation) for name in names]
    assert len(set(keras)) == len(names)
    assert [keras_names.slim_name(name, kind) for name in keras] == names


@pytest.mark.parametrize('kind', [V1, V2, RESNEXT], ids=['v1', 'v2', 'resnext'])
def test_arrays_go_and_come_back_bit_for_bit(kind):
    rng = np.random.default_rng(0)
    shapes = {'logits/weights': (1, 1, 6, 5), 'conv2/weights': (3, 3, 2, 8), 'weights': (1, 1, 3, 4)}
    arrays = {name: rng.normal(size=next((shape for end, shape in shapes.items() if name.endswith(end)), (4,)))
              for name in names_of(kind)}
    keras = keras_names.to_keras(arrays, kind)
    assert keras['predictions/kernel'].shape == (6, 5)
    np.testing.assert_array_equal(keras['predictions/kernel'], arrays['logits/weights'][0, 0])
    back = keras_names.to_slim(keras, kind)
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].shape == array.shape
        np.testing.assert_array_equal(back[name], array)


def test_the_grouped_kernel_has_each_number_where_the_depthwise_one_says():
    groups, width = 3, 2
    depthwise = np.random.default_rng(1).normal(size=(3, 3, groups * width, width))
    name = 'conv2_block1_2_conv/depthwise_kernel'
    ours = keras_names.to_slim({name: depthwise}, RESNEXT)['block1/unit_1/bottleneck_v1/conv2/weights']
    assert ours.shape == (3, 3, width, groups * width)
    for group in range(groups):
        for i in range(width):
            for m in range(width):
                np.testing.assert_array_equal(ours[:, :, i, group * width + m], depthwise[:, :, group * width + i, m])
    # Convolutions that are not grouped stay as they are.
    other = keras_names.to_slim({'conv2_block1_1_conv/kernel': depthwise}, RESNEXT)
    assert other['block1/unit_1/bottleneck_v1/conv1/weights'] is depthwise


@pytest.mark.parametrize('shape', [(3, 3, 5, 2), (3, 3, 4), (3, 3, 4, 0), ()])
def test_a_kernel_that_is_none_of_a_depthwise_convolution_is_refused(shape):
    with pytest.raises(ValueError, match='conv2_block1_2_conv/kernel must be the kernel of a depthwise'):
        keras_names.to_slim({'conv2_block1_2_conv/kernel': np.zeros(shape)}, RESNEXT)


def test_unknown_arrays_keep_their_names():
    arrays = keras_names.to_slim({'dense/kernel': np.ones([2, 3]), 'conv1_bn/beta': np.ones(3)}, V1)
    assert list(arrays) == ['dense/kernel', 'conv1/BatchNorm/beta']


def test_two_arrays_for_one_variable_are_refused():
    with pytest.raises(ValueError, match="'logits/biases', the second of them 'fc1000/bias'"):
        keras_names.to_slim({'predictions/bias': np.ones(3), 'fc1000/bias': np.ones(3)}, V1)


@pytest.mark.parametrize(('name', 'kind', 'generation', 'message'), [
    ('block1/unit_1/bottleneck_v1/se/weights', V1, 'current', 'Keras has no current name for'),
    ('block1/unit_1/bottleneck_v1/conv1/weights', V2, 'current', 'in networks of bottleneck_v2 units'),
    ('conv1/BatchNorm/weights', V1, 'current', 'Keras has no current name for'),
    ('postnorm/gamma', V2, 'first', 'Keras has no first name for'),
    ('block3/unit_27/bottleneck_v1/conv1/weights', V1, 'first', 'got unit 27'),
    ('conv1/weights', V1, 'old', "generation must be one of 'current', 'first'; got 'old'"),
])
def test_what_keras_has_not_is_refused(name, kind, generation, message):
    with pytest.raises(ValueError, match=message):
        keras_names.keras_name(name, kind, generation)


def test_networks_that_keras_has_not_are_refused():
    with pytest.raises(ValueError, match='no network with the layers of .resnet_v15_50.'):
        keras_names.kind_of('resnet_v15_50')


def test_biases_fold_into_the_mean():
    arrays = {'conv1/weights': np.ones([1, 1, 2, 3]), 'conv1/biases': np.array([1., 2., 3.]),
              'conv1/BatchNorm/moving_mean': np.array([5., 5., 5.]), 'logits/biases': np.ones(3)}
    folded = keras_names.fold_biases(arrays)
    assert list(folded) == ['conv1/weights', 'conv1/BatchNorm/moving_mean', 'logits/biases']
    np.testing.assert_array_equal(folded['conv1/BatchNorm/moving_mean'], [4., 3., 2.])
    np.testing.assert_array_equal(arrays['conv1/BatchNorm/moving_mean'], [5., 5., 5.])  # not changed in place
