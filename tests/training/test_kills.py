"""A run that is killed with SIGKILL again and again ends as if nothing had happened."""

import json
import os
import subprocess
import sys

import tensorflow.compat.v1 as tf
import tiny_network

KILLS = int(os.environ.get('SOAK_KILLS', 20))  # `make soak` takes more


def tensors(train_dir):
    reader = tf.train.NewCheckpointReader(tf.train.latest_checkpoint(train_dir))
    return {name: reader.get_tensor(name).tobytes() for name in reader.get_variable_to_shape_map()}


def losses(train_dir):
    with open(os.path.join(train_dir, 'metrics.jsonl'), encoding='utf-8') as file:
        records = [json.loads(line) for line in file]
    return [(record['step'], record['loss'], record['cross_entropy']) for record in records]


def test_killed_run_has_the_very_bits_and_losses_of_an_undisturbed_one(tmp_path):
    images = tiny_network.make_images(tmp_path / 'images')
    steps = 10 * KILLS
    script = os.path.join(os.path.dirname(__file__), 'killed_run.py')
    run = subprocess.run([sys.executable, '-W', 'ignore', script, images, str(tmp_path), str(KILLS), str(steps)],
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    begun = json.loads(run.stdout)
    assert len(begun) == KILLS
    assert len(set(begun)) > KILLS / 2, 'the run did not get on between the kills'
    assert begun[-1] > steps / 10, 'the kills were not spread over the run'

    whole, parts = str(tmp_path / 'whole'), str(tmp_path / 'parts')
    assert tensors(parts) == tensors(whole)
    assert losses(parts) == losses(whole)
    assert len(losses(parts)) == steps
    names = os.listdir(parts)
    assert len([name for name in names if name.endswith('.index')]) == 5
    assert not [name for name in names if name == '.saving' or 'tmp' in name or 'temp' in name]
