"""Names and arrays go from NVIDIA's networks to ours: all that TensorFlow 1.15 gives them, by the map alone."""

import numpy as np
import pytest
from goldens import fill

from nets.checkpoints import nvidia_names, origins, tables

# Name and shape of all that a run of TensorFlow 1.15 with mixed precision keeps, but for momenta; see ../goldens.
VARIABLES = {network: {name: tuple(shape) for name, shape in rows}
             for network, rows in fill.load('nvidia')['variables'].items()}
STATE = {'global_step', 'current_loss_scale', 'good_steps'}
# As the checkpoints have them below their scope; the first three are in NVIDIA's own list of a published checkpoint.
PAIRS = [
    ('conv2d/conv2d/kernel', 'nvidia', 'conv1/weights'),
    ('btlnck_block_0_0/shortcut/conv2d/conv2d/kernel', 'nvidia', 'block1/unit_1/bottleneck_v1/shortcut/weights'),
    ('btlnck_block_3_2/bottleneck_1/BatchNorm/beta', 'nvidia', 'block4/unit_3/bottleneck_v1/conv1/BatchNorm/beta'),
    ('btlnck_block_2_22/bottleneck_2/conv2d/kernel', 'nvidia', 'block3/unit_23/bottleneck_v1/conv2/weights'),
    ('btlnck_block_1_0/shortcut/conv2d/BatchNorm/moving_variance', 'nvidia',
     'block2/unit_1/bottleneck_v1/shortcut/BatchNorm/moving_variance'),
    ('btlnck_block_0_1/bottleneck_se_layer/dense/kernel', 'nvidia', 'block1/unit_2/bottleneck_v1/se/reduce/weights'),
    ('btlnck_block_0_1/bottleneck_se_layer/dense_1/bias', 'nvidia', 'block1/unit_2/bottleneck_v1/se/expand/biases'),
    ('conv2d/BatchNorm/moving_mean', 'nvidia_2019', 'conv1/BatchNorm/moving_mean'),
    ('btlnck_block_1_1/bottleneck_3/conv2d/kernel', 'nvidia_2019', 'block1/unit_1/bottleneck_v1/conv3/weights'),
    ('btlnck_block_3_2/bottleneck_1/conv2d/kernel', 'nvidia_2019', 'block3/unit_1/bottleneck_v1/conv1/weights'),
    ('btlnck_block_3_7/bottleneck_1/conv2d/kernel', 'nvidia_2019', 'block3/unit_6/bottleneck_v1/conv1/weights'),
    ('btlnck_block_4_3/bottleneck_1/conv2d/kernel', 'nvidia_2019', 'block4/unit_3/bottleneck_v1/conv1/weights'),
    ('output/dense/bias', 'nvidia_2019', 'logits/biases'),
]


@pytest.mark.parametrize(('theirs', 'origin', 'ours'), PAIRS)
def test_names_go_both_ways(theirs, origin, ours):
    assert nvidia_names.slim_name(theirs, origin) == ours
    assert nvidia_names.nvidia_name(ours, origin) == theirs


def test_grouped_kernels_have_a_name_of_their_own():
    ours, theirs = 'block1/unit_1/bottleneck_v1/conv2/weights', 'btlnck_block_0_0/bottleneck_2/bottleneck_2group_filter'
    assert nvidia_names.slim_name(theirs, 'nvidia') == ours
    assert nvidia_names.nvidia_name(ours, 'nvidia', grouped=True) == theirs


@pytest.mark.parametrize('network', list(VARIABLES))
def test_every_variable_of_tensorflow_is_one_of_ours_and_none_is_left(network):
    origin, variables = origins.origin_of(network), VARIABLES[network]
    found = nvidia_names.find(variables)
    assert found.origin == origin.name
    inside, others = nvidia_names.split(variables, found.scope)
    assert set(others) == STATE
    if '_50' in network:  # so many variables to train are counted in NVIDIA's own code
        assert len([name for name in inside if '/moving_' not in name]) == 161
    scope, names = tables.scope(network), {}
    for name in inside:
        below = name[len(found.scope):]
        ours = nvidia_names.slim_name(below, origin.name)
        assert nvidia_names.nvidia_name(ours, origin.name, origin.grouped) == below
        names[f'{scope}/{ours}'] = nvidia_names.to_slim(ours, np.zeros(variables[name], np.bool_)).shape
    assert names == tables.variables(network, 1001)


@pytest.mark.parametrize('name', [
    'conv2d/kernel', 'resnet50/conv2d/conv2d/kernel', 'conv2d/conv2d/kernel/Momentum', 'conv2d/conv2d/bias',
    'btlnck_block_00_0/bottleneck_1/conv2d/kernel', 'btlnck_block_0_0/bottleneck_4/conv2d/kernel',
    'btlnck_block_0_0/bottleneck_1/conv2d/kernel\n', 'output/dense_1/bias'])
def test_other_names_are_none_of_ours(name):
    assert nvidia_names.slim_name(name, 'nvidia') is None


def test_units_before_the_first_are_none_of_ours():
    for name in ('btlnck_block_0_1', 'btlnck_block_1_0', 'btlnck_block_3_1'):
        assert nvidia_names.slim_name(name + '/bottleneck_1/conv2d/kernel', 'nvidia_2019') is None


@pytest.mark.parametrize('name', ['conv1/biases', 'block1/unit_1/lite_bottleneck_v1/conv1/weights',
                                  'block0/unit_1/bottleneck_v1/conv1/weights', 'resnet_nvidia_50/conv1/weights'])
def test_variables_that_nvidia_has_not_are_named(name):
    with pytest.raises(ValueError, match=f'have no variable for {name!r}'):
        nvidia_names.nvidia_name(name, 'nvidia')


def test_a_network_is_found_in_any_scope_and_what_is_beside_it_is_told_apart():
    names = ['{}/' + name for name in ('conv2d/conv2d/kernel', 'btlnck_block_0_0/bottleneck_1/conv2d/kernel',
                                       'btlnck_block_0_0/bottleneck_1/conv2d/kernel/Momentum', 'fpn/kernel')]
    for scope in ('resnet50', 'tower_0/backbone'):
        held = [name.format(scope) for name in names] + ['box/resnet50/conv2d/conv2d/kernel', 'global_step']
        found = nvidia_names.find(held)
        assert found == ('nvidia', scope + '/')
        inside, others = nvidia_names.split(held, found.scope)
        assert inside == [held[0], held[1], held[3]]
        assert others == [held[2], held[4], held[5]]
    assert nvidia_names.find(['btlnck_block_1_1/bottleneck_1/conv2d/kernel']) == ('nvidia_2019', '')
    assert nvidia_names.find(['resnet_v1_50/conv1/weights', 'conv2d/kernel']) is None


@pytest.mark.parametrize(('name', 'shape', 'message'), [
    ('conv1/weights', [3, 4], 'must have 4 axes .* shape [3, 4]'),
    ('block1/unit_1/bottleneck_v1/se/reduce/weights', [1, 1, 4, 3], 'must have 2 axes'),
    ('logits/weights', [4], 'must have 2 or 4 axes'),
    ('conv1/BatchNorm/beta', [4, 1], 'must have 1 axes'),
])
def test_arrays_of_another_rank_are_an_error(name, shape, message):
    with pytest.raises(ValueError, match=message.replace('[', r'\[')):
        nvidia_names.to_slim(name, np.zeros(shape))
