"""The command `nets predict` as users run it."""

import json
import os
import sys

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, 'inference'))
import tiny_inference as tiny  # noqa: E402

from nets import nets_factory  # noqa: E402
from nets.checkpoints import preset_file  # noqa: E402
from nets.cli import main  # noqa: E402


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(nets_factory.NETWORKS, tiny.NAME, tiny.NETWORK)


@pytest.fixture
def files(tmp_path):
    """A checkpoint with a preset that names its network and classes, and three images, of which one is corrupt."""
    checkpoint = tiny.write_checkpoint(tmp_path)
    preset_file.write(checkpoint, preset_file.of_network(tiny.NAME, 5, ['ant', 'bee', 'cat', 'dog', 'elk']))
    paths = tiny.write_images(tmp_path / 'images', 3)
    with open(paths[1], 'wb') as file:
        file.write(b'GIF8')
    return checkpoint, paths


def test_classes_are_named_and_drawn_and_corrupt_images_are_told(files, tmp_path, capfd):
    checkpoint, paths = files
    code = main.main(['predict', '--checkpoint', checkpoint, *paths, '--top', '2', '--heatmap', str(tmp_path / 'maps'),
                      '--json'])
    output, error = capfd.readouterr()
    assert code == 1
    assert 'GIF' in error
    assert paths[1] in error
    *lines, last = output.splitlines()
    result = json.loads(last)
    assert [one['image'] for one in result['images']] == [paths[0], paths[2]]
    best = result['images'][0]['predictions'][0]
    assert best['name'] == ['ant', 'bee', 'cat', 'dog', 'elk'][best['class']]
    assert lines[0].startswith(paths[0])
    assert lines[1].split() == [f'{best["probability"]:.2%}', best['name'], f'({best["class"]})']
    assert len(lines) == 6
    assert sorted(os.listdir(tmp_path / 'maps')) == ['00000.heatmap.png', '00002.heatmap.png']


@pytest.mark.parametrize(('arguments', 'expected'), [
    (['--labels', '{tmp}/none.txt'], 'none.txt'), (['--top', '0'], 'top must be a whole number from 1; got 0'),
    (['--network', 'resnet_v3'], "Unknown network 'resnet_v3'"),
    (['--heatmap', '{tmp}/file/maps'], 'file/maps: Not a directory'),
    (['--checkpoint', '{tmp}/none'], 'There is no checkpoint')])
def test_hostile_input_fails_with_the_value(files, tmp_path, capfd, arguments, expected):
    checkpoint, paths = files
    (tmp_path / 'file').write_text('x')
    code = main.main(['predict', '--checkpoint', checkpoint, paths[0]]
                     + [text.replace('{tmp}', str(tmp_path)) for text in arguments])
    output, error = capfd.readouterr()
    assert (code, output) == (1, '')
    assert expected in error[error.index('nets predict: error: '):]
    assert 'Traceback' not in error
