"""Verification by torch compares what runs on both sides, and fails where that differs."""

import os

import narrow
import numpy as np
import pytest

from nets import nets_factory, resnet
from nets.checkpoints import verify
from nets.checkpoints.convert import convert
from nets.checkpoints.writers import checkpoint, safetensors_file


@pytest.fixture(autouse=True)
def _networks(monkeypatch):
    narrow.register(monkeypatch)


def needs(package):
    pytest.importorskip(package, reason=f'{package} is not installed (an extra)')


@pytest.mark.parametrize(('network', 'num_classes'), [
    ('v15_narrow', 5), ('v15_basic_narrow', 0), ('se_resnext_narrow', 5)])
def test_verification_by_torch_compares_every_unit(network, num_classes, tmp_path):
    needs('torch')
    needs('safetensors')
    narrow.write_checkpoint(tmp_path / 'a', network, num_classes=num_classes)
    result = convert(tmp_path / 'a', tmp_path / 'b.safetensors', network, verify=True)['verification']
    scope = 'lite_bottleneck_v1' if 'basic' in network else 'bottleneck_v1'
    assert list(result['end_points']) == [
        f'block1/unit_1/{scope}', f'block2/unit_1/{scope}', f'block2/unit_2/{scope}', 'global_pool',
        'spatial_squeeze'][:4 + bool(num_classes)]
    assert all(1e-9 < error < 2e-5 for error in result['end_points'].values())
    assert result['judged'] == ['65x65', '64x64', '67x96', '49x81']


def test_verification_sees_another_function_of_the_same_weights(tmp_path, monkeypatch):
    """Slim's pool differs at even sizes only."""
    needs('torch')
    needs('safetensors')
    safetensors_file.write(tmp_path / 'a.safetensors', narrow.origin_arrays(
        'v15_narrow', narrow.random_variables('v15_narrow')))
    network = nets_factory.NETWORKS['v15_narrow']
    builder = resnet.network('v15_narrow', network.builder.layout._replace(root='slim'))
    builder.layout = network.builder.layout
    monkeypatch.setitem(nets_factory.NETWORKS, 'v15_narrow', network._replace(builder=builder))
    with pytest.raises(ValueError, match='failed, nothing was written: .* by more than 0.0001 at 5 of 5'):
        convert(tmp_path / 'a.safetensors', tmp_path / 'c', 'v15_narrow', verify=True)
    assert os.listdir(tmp_path) == ['a.safetensors']


def test_verification_reads_what_was_written(tmp_path, monkeypatch):
    needs('torch')
    needs('safetensors')
    narrow.write_checkpoint(tmp_path / 'a', 'v15_narrow')
    write = safetensors_file.write

    def write_wrong(path, arrays, metadata):
        return write(path, dict(arrays, **{'fc.bias': arrays['fc.bias'][::-1].copy()}), metadata)

    monkeypatch.setattr(safetensors_file, 'write', write_wrong)
    with pytest.raises(ValueError, match='by more than 0.0001 at 1 of 5 end points: spatial_squeeze'):
        convert(tmp_path / 'a', tmp_path / 'b.safetensors', 'v15_narrow', verify=True)
    assert not [name for name in os.listdir(tmp_path) if 'b.' in name]


def test_verification_needs_every_number(tmp_path):
    needs('torch')
    variables = narrow.random_variables('v15_narrow')
    variables['v15_narrow/logits/biases'][2] = np.nan
    checkpoint.write(str(tmp_path / 'a'), variables)
    with pytest.raises(ValueError, match=r'The verification failed.*1 of 5 end points: spatial_squeeze \(nan\)'):
        convert(tmp_path / 'a', tmp_path / 'b.safetensors', 'v15_narrow', verify=True)


def test_a_copy_that_differs_fails_the_verification(tmp_path):
    variables = narrow.write_checkpoint(tmp_path / 'a', 'v15_narrow')
    name = 'v15_narrow/conv1/weights'
    with pytest.raises(ValueError, match=f'1 arrays differ from what was to be written: {name}'):
        verify.compare_arrays(str(tmp_path / 'a'), dict(variables, **{name: -variables[name]}))
