"""tf-slim's own tests under today's TensorFlow: what passes, by name, is what docs/tf_slim_status.md says.

The slowest are left out unless NETS_ALL_UPSTREAM_TESTS is set: they take as long as all others together.
"""

import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf
import upstream_status

_RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'upstream.py')
_KEPT_TRUE = ('tf_slim.layers.', 'tf_slim.learning', 'tf_slim.losses.', 'tf_slim.metrics.', 'tf_slim.evaluation')
# Modules that share a process, since starting TensorFlow takes longer than most of them; and which tests of them.
_GROUPS = {
    'layers': ('0/1', 'layers.layers_test'),
    'more_layers': ('0/1', 'layers.initializers_test layers.normalization_test layers.optimizers_test '
                    'layers.regularizers_test layers.sparse_ops_test layers.summaries_test layers.utils_test'),
    'learning': ('0/1', 'learning_test evaluation_test layers.rev_block_lib_test'),
    'losses': ('0/1', 'losses.loss_ops_test losses.metric_learning_test metrics.classification_test '
               'metrics.histogram_ops_test metrics.metric_ops_large_test'),
    'metrics': ('0/2', 'metrics.metric_ops_test'),
    'more_metrics': ('1/2', 'metrics.metric_ops_test'),
}

with open(upstream_status.STATUS) as _stream:
    _STATUS = json.load(_stream)
_RUN = 'tf216' if tf.__version__.startswith('2.16.') else 'tf221'
_SLOW = [] if os.environ.get('NETS_ALL_UPSTREAM_TESTS') else _STATUS['slow']


def _modules(group):
    return ['tf_slim.' + name for name in _GROUPS[group][1].split()]


def _number_of_tests(module, shard):
    first, step = map(int, shard.split('/'))
    total = sum(_STATUS['counts'][module][_RUN].values())
    return len(range(total - sum(test.startswith(module + '.') for test in _SLOW))[first::step])


def test_groups_hold_all_modules():
    modules = {module for group in _GROUPS for module in _modules(group)}
    assert modules == {module for module in _STATUS['counts'] if module.startswith(_KEPT_TRUE)}


@pytest.mark.parametrize('group', _GROUPS)
def test_passes_as_documented(group, tmp_path):
    results = tmp_path / 'results.json'
    shard = _GROUPS[group][0]
    process = subprocess.run(
        [sys.executable, _RUNNER, '--skip', ','.join(_SLOW), '--shard', shard, str(results), *_modules(group)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert results.exists(), process.stdout[-3000:]
    outcomes = json.loads(results.read_text())
    not_passed = {test: outcome[0] for test, outcome in outcomes.items() if outcome[0] != 'passed'}
    documented = _STATUS['not_passed'][_RUN]
    assert not_passed == {test: documented[test] for test in outcomes if test in documented}
    assert len(outcomes) == sum(_number_of_tests(module, shard) for module in _modules(group))


def test_page_says_what_was_measured():
    with open(upstream_status.PAGE) as stream:
        assert stream.read() == upstream_status.render(_STATUS)
