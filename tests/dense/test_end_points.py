"""End points by stride, and what output strides do to all end points, for every network of the family."""

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill
from manifests import path_of
from narrow_rows import narrow

from nets import dense, nets_factory, resnet, resnet_utils

# DeepLab's, from its core/feature_extractor.py; {} is the last unit of block 3 but one.
DEEPLAB = {4: 'block1/unit_2/bottleneck_v1/conv3', 8: 'block2/unit_3/bottleneck_v1/conv3',
           16: 'block3/unit_{}/bottleneck_v1/conv3'}
DEEPLAB_18 = {stride: 'block{}/unit_1/lite_bottleneck_v1/conv2'.format(block)
              for block, stride in enumerate((4, 8, 16), 1)}


def short(name):
    """A network's layout with few channels, and with two units in the first blocks only."""
    layout = narrow(name)
    return layout._replace(num_units=(2, 2, 1, 1)[:len(layout.num_units)])


# One name for each layout that differs in more than its numbers of units and widths.
NAMES = sorted({repr(short(name)): name for name in reversed(nets_factory.NETWORKS)}.values())
# One for each that differs in where its strides are, too.
STRUCTURES = sorted({(layout.unit, layout.strided_unit, layout.strided_conv, layout.root_block().convs[:-1],
                      layout.root_block().stride, len(layout.num_units)): name
                     for name, layout in ((name, short(name)) for name in NAMES)}.values())
# The mean of a map is another one at another density; SAME padding sees other pixels at even sizes.
EXACT = [name for name in NAMES if not short(name).se_ratio and short(name).padding == 'explicit'
         and short(name).root != 'same']


def build(network, images, **kwargs):
    with slim.arg_scope(network.arg_scope()):
        return network(images, is_training=False, global_pool=False, **kwargs)


def factor(dense_map, nominal_map):
    """The stride between two maps."""
    found = [n for n in (1, 2, 4, 8, 16) if all(-(-a // n) == b for a, b in zip(
        dense_map.shape[1:3], nominal_map.shape[1:3]))]
    assert found, (dense_map.shape, nominal_map.shape)
    return found[0]


@pytest.mark.parametrize('name', EXACT)
def test_every_end_point_subsampled_is_that_of_the_nominal_stride(name):
    """For all output strides, with the strides of the blocks in their place or after the end point."""
    network = resnet.network('net', short(name))
    images = tf.placeholder(tf.float32, [None, None, None, 3])
    nominal, points = build(network, images)
    points['features'] = nominal
    others = []
    strides = dense.reachable_output_strides(network)
    for output_stride, stored in [(stride, stride == strides[1]) for stride in strides[:-1]] + [(strides[-1], True)]:
        net, end_points = build(network, images, output_stride=output_stride, reuse=True,
                                store_non_strided_activations=stored)
        others.append(dict(end_points, features=net))
    with tf.Session() as session:
        golden.fill_variables(session)
        for size in ((64, 64), (65, 81)):
            expected, results = session.run([points, others], {images: fill.images((1,) + size + (3,), 7)})
            for stride, actual in zip(strides, results):
                assert list(actual) == list(expected)
                assert factor(actual['features'], expected['features']) == strides[-1] // stride
                for key, value in actual.items():
                    n = factor(value, expected[key])
                    np.testing.assert_allclose(value[:, ::n, ::n], expected[key], rtol=1e-4, atol=3e-5, err_msg=key)


@pytest.mark.parametrize('name', STRUCTURES)
@pytest.mark.parametrize(('place', 'stored', 'size'), [(None, False, 64), (None, True, 65), (1, False, 65)])
def test_decoder_end_points_have_their_stride_and_are_the_deepest(name, place, stored, size):
    network = resnet.network('net', short(name))
    strides = dense.reachable_output_strides(network)
    output_stride = place and strides[place]
    _, end_points = build(network, tf.placeholder(tf.float32, [1, size, size, 3]), output_stride=output_stride,
                          store_non_strided_activations=stored)
    for stride in strides:
        of_stride = [key for key, tensor in end_points.items() if tensor.shape.as_list()[1] == -(-size // stride)]
        units = [key for key in of_stride if key.endswith(('bottleneck_v1', 'bottleneck_v2'))]
        for after_unit in (False, True):
            arguments = network, [stride], output_stride, stored, after_unit
            if not of_stride:  # coarser than the output stride, or strided after the last end point
                with pytest.raises(ValueError, match='strides must be among .*; got {}'.format(stride)):
                    dense.decoder_end_points(*arguments)
                continue
            found = dense.decoder_end_points(*arguments)[stride]
            if not units:
                assert found == of_stride[-1]
            elif after_unit:
                assert found == units[-1]
            else:
                assert found == [key for key in of_stride if key.startswith(units[-1] + '/conv')][-1]


@pytest.mark.parametrize('name', list(nets_factory.NETWORKS))
def test_decoder_end_points_are_layers_of_the_real_network(name):
    """By the list of its variables: the convolution has weights, and no later one of its unit has."""
    with open(path_of(name), encoding='utf-8') as file:
        variables = {line.split()[0] for line in file}
    for stored in (False, True):
        for key in dense.decoder_end_points(name, dense.reachable_output_strides(name), None, stored).values():
            assert key + '/weights' in variables


@pytest.mark.parametrize(('name', 'expected'), [
    ('resnet_v1_18', DEEPLAB_18), ('resnet_v1_18_beta', DEEPLAB_18)] + [
        ('resnet_v1_' + depth, {**DEEPLAB, 16: DEEPLAB[16].format(unit)})
        for depth, unit in (('50', 5), ('50_beta', 5), ('101', 22), ('101_beta', 22))])
def test_deeplabs_choice(name, expected):
    """By hand, as DeepLab has it, whatever stride above the network has."""
    for output_stride in (None, 32):
        names = dense.decoder_end_points(name, [16, 4, 8], output_stride)
        assert names == {stride: name.replace('_beta', '') + '/' + expected[stride] for stride in (4, 8, 16)}
        assert list(names) == [16, 4, 8]
    assert dense.decoder_end_points(name, [4], 8, scope='a/b') == {4: 'a/b/' + expected[4]}


def test_the_root_and_blocks_of_one_unit_have_end_points_too():
    assert dense.decoder_end_points('resnet_v1_50_beta', [2]) == {2: 'resnet_v1_50/conv1_3'}
    assert dense.decoder_end_points('resnet_v1_14', [4.0]) == {4: 'resnet_v1_14/block1/unit_1/bottleneck_v1/conv1'}
    assert dense.decoder_end_points('resnet_v1_14', [4], store_non_strided_activations=True, after_unit=True) == {
        4: 'resnet_v1_14/block1/unit_1/bottleneck_v1'}
    assert dense.decoder_end_points('resnet_v1_50', [8], 8, after_unit=True) == {
        8: 'resnet_v1_50/block4/unit_3/bottleneck_v1'}


def test_reachable_output_strides_are_those_that_networks_take():
    for name, network in nets_factory.networks_map.items():
        strides = dense.reachable_output_strides(name)
        assert strides == [network.layout.root_block().stride * stride for stride in
                           resnet_utils.reachable_output_strides(network.layout.blocks())]
        with pytest.raises(ValueError, match='output_stride must be one of {} or None; got 64'.format(
                ', '.join(map(str, strides)))):
            network(tf.zeros([1, 33, 33, 3]), output_stride=64)
    assert dense.reachable_output_strides('resnet_v1_50') == [4, 8, 16, 32]
    assert dense.reachable_output_strides('resnet_small_18') == [1, 2, 4, 8]


@pytest.mark.parametrize('stride', [32, 1, True, '4', [4], None])
def test_strides_that_there_are_not_are_told(stride):
    with pytest.raises(ValueError, match='strides must be among 2, 4, 8, 16 for resnet_v1_50 with output_stride=16; '):
        dense.decoder_end_points('resnet_v1_50', [4, stride], output_stride=16)


def test_other_wrong_arguments_are_told():
    with pytest.raises(ValueError, match='strides must be a list of ints; got 4'):
        dense.decoder_end_points('resnet_v1_50', 4)
    with pytest.raises(ValueError, match="Unknown network 'resnet_v1_51'; did you mean 'resnet_v1_50'"):
        dense.decoder_end_points('resnet_v1_51', [4])
    with pytest.raises(ValueError, match="Unknown network 'resnet'"):
        dense.reachable_output_strides('resnet')
    with pytest.raises(ValueError, match='output_stride must be one of 4, 8, 16, 32 or None; got 6'):
        dense.decoder_end_points('resnet_v1_50', [4], output_stride=6)
