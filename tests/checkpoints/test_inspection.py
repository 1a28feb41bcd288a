"""Inspection finds the network that a file is of, in every origin's names, and the numbers that cannot be right."""

import hashlib
import os

import golden
import numpy as np
import pytest
from goldens import fill
from optional import torch

from nets import nets_factory, resnet
from nets.checkpoints import fitting, inspection, keras_names, tables, torch_names

NAMES = list(nets_factory.NETWORKS)
TORCH = [name for name in NAMES if name.startswith(('resnet_v15', 'resnext_5', 'resnext_1', 'se_resnext_5',
                                                    'se_resnext_1', 'wide'))]
KERAS = [name for name in NAMES if 'keras' in name]


def _of_torch(name, num_classes=1000):
    """The shapes of a network as torch has them."""
    shapes = {}
    for ours, shape in _below_scope(name, num_classes).items():
        theirs = torch_names.torch_name(ours)
        shape = shape[::-1] if theirs == 'fc.weight' else shape
        shapes[theirs] = shape[:2] if theirs == 'fc.weight' else shape[3:] + shape[2:3] + shape[:2] if len(
            shape) == 4 else shape
    return dict(shapes, **{'bn1.num_batches_tracked': ()})


def _of_keras(name, generation='current'):
    """The shapes of a network as Keras has them."""
    kind, shapes = keras_names.kind_of(name), {}
    for ours, shape in _below_scope(name, 1000).items():
        theirs = keras_names.keras_name(ours, kind, generation)
        shapes[theirs] = (shape[2:] if ours == 'logits/weights' else shape[:2] + shape[:1:-1]
                          if theirs.endswith('depthwise_kernel') else shape)
    return shapes


def _below_scope(name, num_classes):
    scope = tables.scope(name) + '/'
    return {variable[len(scope):]: shape for variable, shape in tables.variables(name, num_classes).items()}


def _check_best(shapes, name):
    """A network fits in full and is the first, and what fits like it comes of another origin."""
    best, *others = fitting.rank(shapes)
    assert (best.network, best.missing, best.misshaped, best.unexpected) == (name, [], [], [])
    assert best.same_origin
    for other in others:
        same = [tuple(shape) for shape in _below_scope(other.network, 1000).values()] == [
            tuple(shape) for shape in _below_scope(name, 1000).values()]
        if not (other.missing or other.misshaped or other.unexpected):
            assert same
            assert not other.same_origin


@pytest.mark.parametrize('prefix', ['', 'tower_0/'])
@pytest.mark.parametrize('name', NAMES[::4])
def test_a_checkpoint_of_each_network_fits_that_one_best(name, prefix):
    shapes = {prefix + variable: shape for variable, shape in tables.variables(name).items()}
    shapes.update({variable + '/Momentum': shape for variable, shape in shapes.items()}, global_step=())
    _check_best(shapes, name)


def test_networks_that_share_a_scope_are_told_apart():
    # DeepLab's scope of its beta networks is that of slim's.
    for name in ('resnet_v1_50', 'resnet_v1_50_beta', 'resnet_v1_101', 'resnet_v2_101'):
        assert fitting.rank(tables.variables(name))[0].network == name


@pytest.mark.parametrize('name', TORCH[::3])
def test_a_file_of_torch_fits_the_network_with_torchs_layout_best(name):
    shapes = _of_torch(name)
    assert fitting.origin_of(shapes) == 'torch'
    _check_best(shapes, name)


@pytest.mark.parametrize('name', KERAS[::2])
def test_a_file_of_keras_fits_the_network_with_keras_layout_best(name):
    shapes = _of_keras(name)
    assert fitting.origin_of(shapes) == 'keras'
    _check_best(shapes, name)


@pytest.mark.parametrize('name', [name for name in NAMES if 'nvidia' in name][::2])
def test_a_checkpoint_of_nvidia_fits_the_network_with_nvidias_layout_best(name):
    shapes = {variable: tuple(shape) for variable, shape in fill.load('nvidia')['variables'][name]}
    _check_best(shapes, name)
    assert fitting.num_classes_of(shapes) == 1001


def test_the_first_generation_of_keras_is_known():
    _check_best(_of_keras('resnet_keras_50', 'first'), 'resnet_keras_50')


def test_a_checkpoint_of_averages_alone_fits():
    shapes = {name + fitting.AVERAGE_SUFFIX: shape for name, shape in tables.variables('resnet_v1_18').items()}
    _check_best(shapes, 'resnet_v1_18')
    assert fitting.num_classes_of(shapes) == 1000


@pytest.mark.parametrize(('shapes', 'expected'), [
    (tables.variables('resnet_v2_50', 1001), 1001), (tables.variables('resnet_v2_50', None), None),
    (_of_torch('resnet_v15_18', 17), 17), (_of_keras('resnet_keras_50'), 1000)])
def test_the_number_of_classes_is_that_of_the_classifier(shapes, expected):
    assert fitting.num_classes_of(shapes) == expected


@pytest.mark.parametrize(('network', 'num_classes', 'expected'), [
    ('resnet_v2_50', None, None),
    ('resnet_v2_50', 1000, ['0 missing, 2 of another shape', '1001 in the checkpoint, 1000 in the model', 'offset 1']),
    ('resnet_v2_101', None, ['272 missing, 0 of another', 'resnet_v2_101/block3/unit_7/bottleneck_v2/preact/gamma',
                             'Of all networks it fits resnet_v2_50 best']),
    ('resnet_v1_50', None, ['block1/unit_1/bottleneck_v1/conv1/weights', 'the checkpoint holds resnet_v2_50'])])
def test_the_difference_to_a_network_is_told(network, num_classes, expected):
    shapes = {'tower_0/' + name: shape for name, shape in tables.variables('resnet_v2_50', 1001).items()}
    text = inspection.difference(shapes, '/c', network, num_classes)
    assert (text is None) == (expected is None)
    for part in expected or []:
        assert part in text


def test_the_same_variables_with_another_layout_are_told():
    shapes = tables.variables('resnet_v15_50')
    text = inspection.difference(shapes, '/c', 'resnet_v1_50')
    assert "strided_unit is 'first' in resnet_v15_50 and 'last' in resnet_v1_50" in text
    assert "root is 'padded' in resnet_v15_50 and 'slim' in resnet_v1_50" in text
    assert inspection.difference(shapes, '/c', 'resnet_v15_50') is None
    assert 'strided_unit' in inspection.difference(_of_torch('resnet_v15_50'), '/c', 'resnet_v1_50')
    renamed = {name.replace('resnet_v15_50', 'mine'): shape for name, shape in shapes.items()}
    assert inspection.difference(renamed, '/c', 'resnet_v1_50') is None


def test_more_than_a_network_has_is_told():
    text = inspection.difference(tables.variables('resnet_v1_101'), '/c', 'resnet_v1_50')
    assert 'has all variables of resnet_v1_50, and others in its scope.\nUnexpected (255):' in text
    assert text.endswith('Of all networks it fits resnet_v1_101 best.')


def _network(monkeypatch, name='narrow'):
    layout = resnet.Layout('bottleneck', num_units=(1, 1), depths=(4, 8), strided_unit='first', root='padded')
    builder = resnet.network(name, layout)
    monkeypatch.setitem(nets_factory.NETWORKS, name, nets_factory.Network(builder, builder.arg_scope, None))
    return tables.variables(name, 5)


def test_a_file_is_told_of_in_full(monkeypatch, tmp_path):
    shapes = _network(monkeypatch)
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    np.savez(str(tmp_path / 'a.npz'), global_step=np.array(9), **arrays)
    found = inspection.inspect(tmp_path / 'a.npz', 'narrow')
    assert (found['format'], found['step'], found['num_classes']) == ('npz', 9, 5)
    assert found['networks'][0] == {'network': 'narrow', 'fits': True, 'same_origin': True, 'matched': len(shapes),
                                    'missing': 0, 'misshaped': 0, 'unexpected': 0}
    assert len(found['networks']) == len(NAMES) + 1
    assert found['num_values'] == sum(array.size for array in arrays.values()) + 1
    assert found['num_bytes'] == sum(array.nbytes for array in arrays.values()) + 8
    assert (found['problems'], found['difference']) == ([], None)
    assert (found['moving_averages'], found['optimizer'], found['slots']) == (False, False, [])
    content = (tmp_path / 'a.npz').read_bytes()
    assert found['files'] == [{'path': str(tmp_path / 'a.npz'), 'bytes': len(content),
                               'sha256': hashlib.sha256(content).hexdigest()}]


@pytest.mark.parametrize('suffix', ['', '_old'])
def test_a_checkpoint_of_training_has_averages_and_slots(suffix):
    found = inspection.inspect(os.path.join(golden.FOLDER, 'checkpoints', 'tiny_v1' + suffix))
    assert (found['moving_averages'], found['optimizer'], found['slots']) == (True, True, ['Momentum'])
    assert (found['step'], found['num_classes'], found['problems']) == (5, 7, [])


def test_numbers_that_cannot_be_right_are_found(tmp_path):
    bad = {'a/weights': [1, np.nan, np.nan], 'b/weights': [np.inf, 1, -np.inf], 'c/moving_variance': [1, -0.5, 2],
           'd/moving_variance': [0, 0, 0], 'e.running_var': [-1, 0, 0], 'e/biases': [0, 0, 0],
           'f/moving_variance' + fitting.AVERAGE_SUFFIX: [0, 0, 0], 'g/moving_variance': [0, 1e-9, 0]}
    np.savez(str(tmp_path / 'a.npz'), **{name: np.array(values, np.float32) for name, values in bad.items()})
    assert [tuple(problem.values()) for problem in inspection.inspect(tmp_path / 'a.npz')['problems']] == [
        ('a/weights', '2 of 3 are NaN'), ('b/weights', '2 of 3 are infinite'),
        ('c/moving_variance', '1 of 3 variances are negative, down to -0.5'),
        ('d/moving_variance', 'all 3 variances are zero'),
        ('e.running_var', '1 of 3 variances are negative, down to -1'),
        ('f/moving_variance' + fitting.AVERAGE_SUFFIX, 'all 3 variances are zero')]


def test_a_published_name_is_compared_with_the_digest(tmp_path):
    torch.save({'w': torch.ones(2)}, str(tmp_path / 'w.pth'))
    digest = hashlib.sha256((tmp_path / 'w.pth').read_bytes()).hexdigest()
    other = ('a' if digest[0] != 'a' else 'b') + digest[1:8]
    for name, count in ((f'net-{digest[:8]}.pth', 0), (f'net-{other}.pth', 1), ('net-20240131.pth', 0)):
        os.rename(str(tmp_path / 'w.pth'), str(tmp_path / name))
        problems = inspection.inspect(tmp_path / name)['problems']
        assert len(problems) == (count)
        os.rename(str(tmp_path / name), str(tmp_path / 'w.pth'))


def test_an_unknown_network_is_an_error(tmp_path):
    np.savez(str(tmp_path / 'a.npz'), a=np.zeros(1))
    with pytest.raises(ValueError, match="Unknown network 'resnet_v1_5'; did you mean"):
        inspection.inspect(tmp_path / 'a.npz', 'resnet_v1_5')
