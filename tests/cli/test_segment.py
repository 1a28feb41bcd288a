"""The command `nets segment` as users run it."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, 'segmentation'))
import tiny_segmentation as tiny  # noqa: E402

from nets import nets_factory  # noqa: E402
from nets.cli import common, main, segment_flags, train  # noqa: E402
from nets.segmentation import config, recipes  # noqa: E402


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(nets_factory.NETWORKS, tiny.NAME, tiny.NETWORK)


@pytest.mark.parametrize('action', ['train', 'eval', 'predict'])
def test_help_imports_nothing_heavy(action):
    code = ('import sys\nfrom nets.cli import main\n'
            f'assert main.main(["segment", "{action}", "--help"]) == 0\n'
            'assert not {"tensorflow", "numpy", "PIL", "tqdm"} & set(sys.modules)')
    done = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True)
    assert f'usage: nets segment {action}' in done.stdout


def _configuration(*arguments):
    import argparse
    parser = argparse.ArgumentParser()
    common.add_flags(parser, config.TrainConfig(), segment_flags.TRAIN_FLAGS)
    return common.parse_flags(parser.parse_args(arguments), config.TrainConfig(), segment_flags.TRAIN_FLAGS,
                              lambda fields, given: train.recipe_settings(fields, given, recipes.RECIPES,
                                                                          segment_flags.TRAIN_FLAGS))


def test_flags_reach_their_fields():
    assert _configuration() == config.TrainConfig()
    found = _configuration('--network=resnet_v1_50', '--atrous_rates', '6,12', '--head_options=', '--noflip',
                           '--fine_tune_batch_norm=false', '--class_weights=1,0.5', '--learning_rate', '0.125',
                           '--train_crop_size=65,97', '--xla', '--optimizer=adam')
    assert (found.model_name, found.model.atrous_rates, found.model.head_options) == ('resnet_v1_50', (6, 12), ())
    assert (found.data.flip, found.model.fine_tune_batch_norm, found.xla) == (False, False, True)
    assert (found.loss.class_weights, found.schedule.learning_rate) == ((1.0, 0.5), 0.125)
    assert (found.data.crop_size, found.optimizer.optimizer) == ((65, 97), 'adam')


def test_recipe_of_deeplab_is_said_and_leaves_what_is_given(capfd):
    found = _configuration('--recipe=deeplab', '--batch_size=4')
    assert (found.data.crop_size, found.data.batch_size, found.model.atrous_rates) == ((513,), 4, (6, 12, 18))
    assert (found.batch_norm_decay, found.schedule.learning_rate, found.weight_decay) == (None, 0.007, 0.0001)
    assert '--train_crop_size=513' in capfd.readouterr().err
    from nets.segmentation import problem
    task = problem.make_task(found)
    assert (task.model.network, task.crop, task.model.multi_grid) == ('resnet_v1_50_beta', (513, 513), [1, 2, 4])


@pytest.mark.parametrize(('arguments', 'code', 'message'), [
    (['train', '--atrous_rates=x'], 2, 'atrous_rates'), (['train', '--output_stride=eight'], 2, 'output_stride'),
    (['train', '--min_scale_factor=3'], 1, 'min_scale_factor must be above 0 and at most max_scale_factor'),
    (['train', '--recipe=voc'], 1, "recipe must be one of deeplab; got 'voc'"),
    (['train', '--nothing=1'], 2, '--nothing=1'), (['predict'], 2, '--output'), (['segment'], 2, 'invalid choice'),
    (['eval', '--checkpoint=/none'], 1, 'There is no checkpoint'),
    (['predict', '--checkpoint=/none', '--output=/tmp', 'a.jpg'], 1, "'a.jpg' is no folder, no file")])
def test_wrong_command_lines_are_told(arguments, code, message, capfd):
    assert main.main(['segment', *arguments]) == code
    output, error = capfd.readouterr()
    assert output == ''
    assert message in error
    assert 'Traceback' not in error


def test_trains_evaluates_and_predicts(tmp_path, capfd):
    run, out = str(tmp_path / 'run'), str(tmp_path / 'out')
    assert main.main(['segment', 'train', f'--train_dir={run}', '--max_number_of_steps=2', *tiny.FLAGS, '--json']) == 0
    output, error = capfd.readouterr()
    assert json.loads(output)['step'] == 2
    assert 'Training deeplab_v3plus on tiny_v1 on shapes/train: 512 images, 5 classes, crops of 33x33' in error

    assert main.main(['segment', '--json', 'eval', '--checkpoint', run, '--max_num_images=2']) == 0
    output, error = capfd.readouterr()
    assert json.loads(output)['num_images'] == 2
    assert 'mean IoU: ' in error
    assert os.path.exists(os.path.join(run, 'eval', 'report.html'))

    Image.new('RGB', (40, 33), 'red').save(tmp_path / 'red.png')
    (tmp_path / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\n')
    command = ['segment', 'predict', '--checkpoint', run, '--output', out, '--flip', str(tmp_path / '*.png')]
    assert main.main(command) == 1
    output, error = capfd.readouterr()
    assert output.startswith(os.path.join(out, 'red.overlay.png'))
    assert '1 images could not be decoded' in error
    assert sorted(os.listdir(out)) == ['red.overlay.png', 'red.png']
    assert main.main([*command, '--skip_corrupt']) == 0
