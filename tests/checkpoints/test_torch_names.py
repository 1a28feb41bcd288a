"""Names and arrays go from torch's residual networks to ours and back; no network is built here."""

import numpy as np
import pytest

from nets.checkpoints import torch_names

# As the state dicts of torchvision and timm have them, and as our networks do.
PAIRS = [
    ('conv1.weight', 'conv1/weights'),
    ('bn1.weight', 'conv1/BatchNorm/gamma'),
    ('bn1.bias', 'conv1/BatchNorm/beta'),
    ('bn1.running_mean', 'conv1/BatchNorm/moving_mean'),
    ('bn1.running_var', 'conv1/BatchNorm/moving_variance'),
    ('layer1.0.conv1.weight', 'block1/unit_1/{}/conv1/weights'),
    ('layer1.0.bn1.running_mean', 'block1/unit_1/{}/conv1/BatchNorm/moving_mean'),
    ('layer3.22.conv2.weight', 'block3/unit_23/{}/conv2/weights'),
    ('layer2.9.bn3.weight', 'block2/unit_10/{}/conv3/BatchNorm/gamma'),
    ('layer2.0.downsample.0.weight', 'block2/unit_1/{}/shortcut/weights'),
    ('layer2.0.downsample.1.running_var', 'block2/unit_1/{}/shortcut/BatchNorm/moving_variance'),
    ('layer4.2.se.fc1.weight', 'block4/unit_3/{}/se/reduce/weights'),
    ('layer4.2.se.fc1.bias', 'block4/unit_3/{}/se/reduce/biases'),
    ('layer4.2.se.fc2.weight', 'block4/unit_3/{}/se/expand/weights'),
    ('layer4.2.se.fc2.bias', 'block4/unit_3/{}/se/expand/biases'),
    ('fc.weight', 'logits/weights'),
    ('fc.bias', 'logits/biases'),
]


@pytest.mark.parametrize('unit', torch_names.UNITS)
@pytest.mark.parametrize(('torch', 'slim'), PAIRS)
def test_names_go_both_ways(torch, slim, unit):
    assert torch_names.torch_name(slim.format(unit)) == torch
    assert torch_names.slim_name(torch, unit) == slim.format(unit)


@pytest.mark.parametrize('name', [
    'conv1/biases', 'conv1_1/weights', 'block1/unit_1/bottleneck_v2/conv1/weights', 'block0/unit_1/bottleneck_v1/conv1',
    'block1/unit_0/bottleneck_v1/conv1/weights', 'block1/unit_1/bottleneck_v1/conv4/weights', 'conv1.weight',
    'resnet_v15_50/conv1/weights', 'conv1/weights/Momentum', 'conv1/weights\n'])
def test_unknown_variables_are_named(name):
    with pytest.raises(ValueError, match=r'have no weight for the variable ') as error:
        torch_names.torch_name(name)
    assert repr(name) in str(error.value)


@pytest.mark.parametrize('name', [
    'conv1.bias', 'module.conv1.weight', 'layer1.00.conv1.weight', 'layer0.0.conv1.weight', 'layer1.0.conv4.weight',
    'layer1.0.se.fc3.weight', 'bn1.num_batches_tracked', 'conv1/weights'])
def test_unknown_weights_are_named(name):
    with pytest.raises(ValueError, match='have no variable for the weight ') as error:
        torch_names.slim_name(name, 'bottleneck_v1')
    assert repr(name) in str(error.value)


def test_an_unknown_unit_is_named():
    with pytest.raises(ValueError, match=r"unit must be one of 'bottleneck_v1', 'lite_bottleneck_v1'; got 'basic'\."):
        torch_names.slim_name('fc.bias', 'basic')


def test_kernels_change_axes_one_by_one():
    kernel = np.arange(2 * 3 * 5 * 7, dtype=np.float32).reshape(2, 3, 5, 7)  # filters, channels, height, width
    ours = torch_names.to_slim('layer1.0.conv2.weight', kernel)
    assert ours.shape == (5, 7, 3, 2)
    assert ours[4, 6, 2, 1] == kernel[1, 2, 4, 6]
    assert ours[1, 2, 0, 1] == kernel[1, 0, 1, 2]
    dense = np.arange(6, dtype=np.float32).reshape(2, 3)  # classes, channels
    ours = torch_names.to_slim('fc.weight', dense)
    assert ours.shape == (1, 1, 3, 2)
    assert ours[0, 0, 2, 1] == dense[1, 2]


def state_dict(dtype=np.float32):
    """A made-up network: one array under each of the names of PAIRS, and the counters that torch keeps."""
    random, state = np.random.RandomState(0), {}
    for i, (name, _) in enumerate(PAIRS):
        shape = ((i + 1, 3) if name == 'fc.weight' else (i + 1, 3, 5, 2) if 'conv' in name or '.0.w' in name
                 else (i + 1, 3, 1, 1) if 'se.' in name and name.endswith('weight') else (i + 1,))
        state[name] = random.randn(*shape).astype(dtype)
    return dict(state, **{'bn1.num_batches_tracked': np.int64(3), 'layer1.0.bn1.num_batches_tracked': np.int64(3)})


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_a_round_trip_keeps_every_bit(dtype):
    state = state_dict(dtype)
    variables = torch_names.from_state_dict(state)
    assert list(variables) == [slim.format('bottleneck_v1') for _, slim in PAIRS]
    back = torch_names.to_state_dict(variables)
    assert list(back) == [name for name in state if 'num_batches' not in name]
    for name, array in back.items():
        assert array.dtype == state[name].dtype
        assert array.flags.c_contiguous
        assert array.tobytes() == state[name].tobytes()
    again = torch_names.from_state_dict(back)
    assert all(array.flags.c_contiguous and array.tobytes() == again[name].tobytes()
               for name, array in variables.items())


@pytest.mark.parametrize(('names', 'unit'), [
    (['conv1.weight', 'layer1.0.conv1.weight', 'layer1.0.conv2.weight', 'layer1.0.bn2.bias'], 'lite_bottleneck_v1'),
    (['conv1.weight', 'layer1.0.conv1.weight', 'layer1.0.conv2.weight', 'layer1.0.conv3.weight'], 'bottleneck_v1'),
    (['layer1.0.bn3.bias'], 'bottleneck_v1'),
])
def test_units_are_told_by_their_third_convolution(names, unit):
    assert torch_names.unit_of(names) == unit
    state = {name: np.zeros([4, 3, 1, 1] if 'conv' in name else [4]) for name in names}
    assert [name for name in torch_names.from_state_dict(state) if name.startswith('block')] == [
        torch_names.slim_name(name, unit) for name in names if name.startswith('layer')]


def test_all_unknown_names_are_in_one_error():
    with pytest.raises(ValueError, match=r"2 names are unknown: 'stem\.weight', 'head\.weight'\. The first: .*'stem"):
        torch_names.from_state_dict(dict(state_dict(), **{'stem.weight': np.zeros(3), 'head.weight': np.zeros(3)}))
    with pytest.raises(ValueError, match=r"2 names are unknown: 'global_step', 'conv1/biases'"):
        torch_names.to_state_dict({'global_step': np.zeros([]), 'conv1/biases': np.zeros(3)})


@pytest.mark.parametrize(('function', 'name', 'shape', 'message'), [
    (torch_names.to_slim, 'conv1.weight', [3, 4], r'conv1\.weight must have 4 axes; got an array of shape \[3, 4\]'),
    (torch_names.to_slim, 'fc.weight', [3, 4, 1, 1], r'fc\.weight must have 2 axes'),
    (torch_names.to_slim, 'layer1.0.downsample.1.weight', [3, 4], r'must have 1 axes'),
    (torch_names.to_slim, 'layer1.0.se.fc2.weight', [3, 4], r'must have 4 axes'),
    (torch_names.to_torch, 'logits/weights', [4, 3], r'logits/weights must have 4 axes'),
    (torch_names.to_torch, 'logits/weights', [2, 1, 4, 3], r'must have a kernel of 1x1 .* its shape is \[2, 1, 4, 3\]'),
    (torch_names.to_torch, 'logits/biases', [4, 3], r'logits/biases must have 1 axes'),
    (torch_names.to_torch, 'global_step', [], r"have no weight for the variable 'global_step'"),
])
def test_arrays_that_cannot_be_are_an_error(function, name, shape, message):
    with pytest.raises(ValueError, match=message):
        function(name, np.zeros(shape))
