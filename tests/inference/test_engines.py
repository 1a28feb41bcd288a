"""ONNX Runtime and TensorFlow compute the same."""

import sys

import pytest
from narrow_networks import BATCHES, register, relative, save

from nets.inference import engines, fold
from nets.inference.formats import onnx_file

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


def run(engine, prefix, **kwargs):
    with engines.open_engine(engine, 'small', prefix, None, 3, **kwargs) as opened:
        return [opened(images) for images in BATCHES]


@pytest.mark.parametrize('name', ['resnet_v1_18', 'resnet_v2_50', 'se_resnext_50_32x4d', 'resnet_keras_v2_50',
                                  'resnet_cifar_20'])
def test_onnxruntime_equals_tensorflow(name, monkeypatch, tmp_path):
    register(monkeypatch, name)
    prefix, expected = save(tmp_path, BATCHES)
    assert relative(run('onnxruntime', prefix), expected) < 1e-5


@pytest.mark.parametrize('name', ['resnet_v1_50_beta', 'resnext_50_32x4d'])
def test_onnxruntime_equals_tensorflow_where_convolutions_are_atrous(name, monkeypatch, tmp_path):
    register(monkeypatch, name)
    dense = {'global_pool': False, 'spatial_squeeze': False, 'output_stride': 8}
    prefix, expected = save(tmp_path, BATCHES, **dense)
    assert relative(run('onnxruntime', prefix, **dense), expected) < 1e-5


def test_a_closed_engine_and_an_unknown_one_say_so(monkeypatch, tmp_path):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = save(tmp_path, [])
    with engines.open_engine('tensorflow', 'small', prefix, ['global_pool'], 3) as engine:
        assert engine(BATCHES[0])['global_pool'].shape == (2, 1, 1, 16)
    with pytest.raises(ValueError, match='The engine is closed'):
        engine(BATCHES[0])
    with pytest.raises(ValueError, match="must be one of tensorflow, onnxruntime; got 'tensorrt'"):
        engines.open_engine('tensorrt', 'small', prefix, ['global_pool'], 3)


def test_a_missing_package_is_named_with_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match=r"pip install 'tf1-nets\[onnx\]'"):
        engines.open_engine('onnxruntime', 'small', 'no.ckpt', ['global_pool'], 3)


def test_what_has_no_twin_is_named(monkeypatch, tmp_path):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = save(tmp_path, [])
    folded = fold.fold('small', prefix, ['global_pool'], 3)
    folded.nodes['small/pool1/MaxPool'].op = 'MaxPoolV9'
    with pytest.raises(ValueError, match=r'The operation MaxPoolV9 \(small/pool1/MaxPool\) is not known'):
        onnx_file.serialize(folded)
