"""The command line of `nets export`."""

import json
import os
import sys

import tensorflow.compat.v1 as tf

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'inference'))
from narrow_networks import register, save

from nets.cli import main


def test_the_result_is_told_and_a_second_call_refused(monkeypatch, tmp_path, capsys):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = save(tmp_path, [], num_classes=5)
    path = str(tmp_path / 'net.pb')
    argv = ['export', '--network=small', f'--checkpoint={prefix}', f'--output={path}', '--image_size=33', '--json']
    assert main.main(argv) == 0
    output = capsys.readouterr()
    result = json.loads(output.out)
    assert result['size'] == os.path.getsize(path)
    assert result['error'] < 1e-5
    assert result['outputs'] == {'predictions': 'small/predictions/Reshape_1'}
    assert f'{path}: {result["size"]:,} bytes, frozen_graph; off by' in output.err
    assert 'input images: images' in output.err
    graph_def = tf.GraphDef()
    with open(path, 'rb') as file:
        graph_def.ParseFromString(file.read())
    assert result['outputs']['predictions'] in {node.name for node in graph_def.node}
    assert main.main(argv) == 1
    assert capsys.readouterr().err.count('\n') == 1


def test_dense_exports_are_maps(monkeypatch, tmp_path, capsys):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = save(tmp_path, [], num_classes=5)
    argv = ['export', '--network=small', f'--checkpoint={prefix}', f'--output={tmp_path / "net.pb"}', '--dense',
            '--image_size=33', '--output_stride=8', '--end_point', 'small/block4', 'predictions', '--json']
    assert main.main(argv) == 0
    assert list(json.loads(capsys.readouterr().out)['outputs']) == ['small/block4', 'predictions']


def test_wrong_values_are_one_line(tmp_path, capsys):
    assert main.main(['export', '--network=resnet_v1_5', '--checkpoint=no', f'--output={tmp_path / "net.pb"}']) == 1
    assert "did you mean 'resnet_v1_50'" in capsys.readouterr().err
    assert main.main(['export', '--network=resnet_v1_50', f'--output={tmp_path / "net.pb"}']) == 2
