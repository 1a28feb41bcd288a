"""Scripts and tests that were written for slim run as they are."""

import importlib
import io
import os
import re
import subprocess
import sys
import types
import unittest

import pytest
import tensorflow.compat.v1 as tf

from nets import resnet_utils, resnet_v1, resnet_v2, slim_compat

HERE = os.path.dirname(os.path.abspath(__file__))


def test_a_legacy_script_trains_saves_restores_and_fetches_by_name(tmp_path):
    strict = ['-W', 'error'] if sys.version_info >= (3, 10) else []  # TensorFlow 1.15 warns at import
    result = subprocess.run(
        [sys.executable] + strict + [os.path.join(HERE, 'legacy_train.py'), str(tmp_path)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, universal_newlines=True, check=False,
        env=dict(os.environ, PYTHONPATH=os.path.dirname(HERE)))
    assert result.returncode == 0, result.stderr
    accuracy = float(re.search(r'accuracy ([\d.]+) features \(16, 1, 1, 32\)', result.stdout).group(1))
    assert accuracy >= 0.9
    assert sorted(os.path.splitext(name)[-1] for name in os.listdir(str(tmp_path)) if 'model.ckpt-40' in name) == [
        '.data-00000-of-00001', '.index', '.meta']


@pytest.mark.parametrize(('block', 'num_lines', 'shown', 'expected'), [
    (0, 10, '', '(2, 1000)'), (1, 12, '\nprint(logits.shape, train_op.dtype.name)', '(?, 10) float32')])
def test_the_lines_in_the_readme_run_as_they_are(block, num_lines, shown, expected):
    with io.open(os.path.join(os.path.dirname(HERE), 'README.md'), encoding='utf-8') as file:
        blocks = [code for code in re.findall(r'```python\n(.+?)```', file.read(), re.DOTALL) if 'import' in code]
    statements = [line for line in blocks[block].splitlines() if line.strip()]
    assert len(statements) == num_lines
    result = subprocess.run([sys.executable, '-c', blocks[block] + shown], stdout=subprocess.PIPE, check=True,
                            universal_newlines=True, env=dict(os.environ, PYTHONPATH=os.path.dirname(HERE)))
    assert result.stdout.split('\n')[0].replace('None', '?') == expected


def as_older(module, name):
    """A module of networks as tf-slim's own tests know it: logits keep height and width."""
    def network(inputs, blocks, num_classes=None, is_training=True, global_pool=True, output_stride=None,
                include_root_block=True, reuse=None, scope=None):
        return getattr(module, name)(
            inputs, blocks, num_classes, is_training, global_pool, output_stride, include_root_block,
            spatial_squeeze=False, reuse=reuse, scope=scope)

    return types.SimpleNamespace(**{name: network, name + '_block': getattr(module, name + '_block')})


@pytest.mark.parametrize(('name', 'module'), [('resnet_v1', resnet_v1), ('resnet_v2', resnet_v2)])
def test_the_tests_of_tf_slims_own_networks_pass(name, module):
    tests = importlib.import_module('tf_slim.nets.{}_test'.format(name))
    slim_compat.repair_module(tests)
    tests.resnet_utils = resnet_utils
    setattr(tests, name, as_older(module, name))
    suite = unittest.defaultTestLoader.loadTestsFromModule(tests)
    with tf.Graph().as_default():
        result = unittest.TextTestRunner(verbosity=0, stream=io.StringIO()).run(suite)
    assert result.testsRun >= 15
    assert not result.errors + result.failures
