"""What the repair changes, and that it changes nothing else. Runs under TensorFlow 1.15 too."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import slim_compat

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(os.path.dirname(_FOLDER))
_WORKS_BY_ITSELF = tf.__version__.startswith('1.')
_USE = """
import tensorflow.compat.v1 as tf
with tf.Graph().as_default():
    net = slim.conv2d(tf.zeros([2, 8, 8, 3]), 4, 3, normalizer_fn=slim.batch_norm)
    for fused in (True, False):
        net = batch_norm(net, fused=fused)
    slim.learning.create_train_op(tf.reduce_sum(net), tf.train.GradientDescentOptimizer(0.1), clip_gradient_norm=1.0)
    assert len(slim.get_model_variables()) == 10 and len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == 6
"""
_ORDERS = {
    'nets_first': 'import nets.slim_compat\nimport tf_slim as slim\nfrom tf_slim import batch_norm\n',
    'nets_last': 'import tf_slim as slim\nfrom tf_slim import batch_norm\nimport nets.slim_compat\n',
    'by_a_network': 'from tf_slim import batch_norm\nfrom nets import resnet_v1\nimport tf_slim as slim\n',
}
# Names and identities of everything in all loaded modules of TensorFlow and tf-slim, before and after the repair.
_COMPARE = """
import importlib, logging, os, pkgutil, sys, types, warnings
import numpy, tensorflow.compat.v1 as tf, tf_slim
for info in pkgutil.walk_packages(tf_slim.__path__, 'tf_slim.'):
    if not info.name.endswith('_test'):
        importlib.import_module(info.name)

def snapshot():
    return {(name, key): value for name, module in sorted(sys.modules.items())
            if name.startswith(('tensorflow', 'tf_slim')) and isinstance(module, types.ModuleType)
            for key, value in list(vars(module).items())}

def surroundings():
    levels = {name: logging.getLogger(name).level for name in (None, 'tensorflow', 'absl')}
    return list(warnings.filters), levels, dict(os.environ), tf.logging.get_verbosity()

before, around = snapshot(), surroundings()
import nets.slim_compat
after = snapshot()
assert surroundings() == around
assert 'tf_keras' not in sys.modules
changed = sorted({name for name, key in before if after.get((name, key), None) is not before[name, key]})
again = snapshot()
nets.slim_compat.apply()
assert all(value is again[key] for key, value in snapshot().items())
"""


def _run(code, *arguments, **environment):
    """Runs Python code in a process of its own; returns what it printed."""
    environment = dict(os.environ, PYTHONPATH=_ROOT, TF_CPP_MIN_LOG_LEVEL='3', **environment)
    process = subprocess.Popen([sys.executable] + list(arguments) + ['-c', code], env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


@pytest.mark.parametrize('order', sorted(_ORDERS))
def test_slim_works_whatever_is_imported_first(order):
    _run(_ORDERS[order] + _USE)


def test_only_modules_of_tf_slim_are_changed():
    output = _run(_COMPARE + "print('changed', all(name.startswith('tf_slim.') for name in changed), len(changed))")
    assert 'changed True' in output


@pytest.mark.skipif(not _WORKS_BY_ITSELF, reason='tf-slim works by itself under TensorFlow 1.15 only')
def test_nothing_is_changed_where_tf_slim_works():
    _run(_COMPARE + 'assert not changed, changed')
    from tf_slim.training import evaluation
    before = dict(vars(evaluation))
    slim_compat.repair_module(evaluation)
    assert vars(evaluation) == before


@pytest.mark.skipif(_WORKS_BY_ITSELF, reason='TensorFlow 1.15 has tf.layers.BatchNormalization')
def test_legacy_keras_is_neither_there_nor_needed():
    code = textwrap.dedent("""
        import sys
        sys.modules['tf_keras'] = None
        import nets.slim_compat
        import tf_slim as slim
        from tf_slim import batch_norm
        """)
    assert 'TF_USE_LEGACY_KERAS' not in os.environ
    _run(code + _USE)


@pytest.mark.skipif(_WORKS_BY_ITSELF, reason='nothing is silenced under TensorFlow 1.15')
def test_the_layers_underneath_warn_of_nothing(tmp_path):
    code = 'import runpy, sys; sys.argv[1:] = [{!r}]; runpy.run_path({!r}, run_name="__main__")'.format(
        str(tmp_path), os.path.join(_FOLDER, 'quiet_pipeline.py'))
    output = _run(code, '-W', 'error')
    assert 'accuracy' in output
    noise = ('deprecat', 'instructions for updating', 'fix your imports', 'warning:tensorflow')
    assert [line for line in output.splitlines() if any(word in line.lower() for word in noise)] == []


@pytest.mark.skipif(_WORKS_BY_ITSELF, reason='fails with any TensorFlow where NumPy is 1.23 or newer')
def test_checkpoint_is_cut_to_the_parts_of_a_variable(tmp_path):
    expected = np.arange(15, dtype=np.float32).reshape(5, 3)
    path = str(tmp_path / 'model')
    with tf.Graph().as_default(), tf.Session() as session:
        whole = slim.model_variable('v', initializer=tf.constant(expected))
        session.run(whole.initializer)
        tf.train.Saver().save(session, path)
    with tf.Graph().as_default(), tf.Session() as session:
        parts = slim.model_variable('v', [5, 3], partitioner=tf.fixed_size_partitioner(2))
        assign, feed = slim.assign_from_checkpoint(path, list(parts))
        session.run(assign, feed)
        np.testing.assert_array_equal(session.run(tf.convert_to_tensor(parts)), expected)


def test_wrong_clipping_of_renormalisation_is_named():
    with pytest.raises(ValueError, match='renorm_clipping'):
        slim.batch_norm(tf.zeros([2, 3]), renorm=True, renorm_clipping={'rmin': 0.5, 'rmx': 2.0})
