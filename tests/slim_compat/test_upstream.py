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
_SHARDS = {'tf_slim.metrics.metric_ops_test': 3, 'tf_slim.layers.layers_test': 2}
_ALL = bool(os.environ.get('NETS_ALL_UPSTREAM_TESTS'))

with open(upstream_status.STATUS) as _stream:
    _STATUS = json.load(_stream)
_RUN = 'tf216' if tf.__version__.startswith('2.16.') else 'tf221'
_CASES = [(module, shard, shards) for module in sorted(_STATUS['counts']) if module.startswith(_KEPT_TRUE)
          for shards in [_SHARDS.get(module, 1)] for shard in range(shards)]


def _slow(module):
    return [] if _ALL else [test for test in _STATUS['slow'] if test.startswith(module + '.')]


def _in_shard(total, shard, shards):
    return len(range(shard, total, shards))


@pytest.mark.parametrize(('module', 'shard', 'shards'), _CASES)
def test_passes_as_documented(module, shard, shards, tmp_path):
    results = tmp_path / 'results.json'
    process = subprocess.run(
        [sys.executable, _RUNNER, '--skip', ','.join(_slow(module)), '--shard', f'{shard}/{shards}', module,
         str(results)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert results.exists(), process.stdout[-3000:]
    outcomes = json.loads(results.read_text())
    not_passed = {test: outcome[0] for test, outcome in outcomes.items() if outcome[0] != 'passed'}
    documented = _STATUS['not_passed'][_RUN]
    assert not_passed == {test: documented[test] for test in outcomes if test in documented}
    total = sum(_STATUS['counts'][module][_RUN].values()) - len(_slow(module))
    assert len(outcomes) == _in_shard(total, shard, shards)


def test_page_says_what_was_measured():
    with open(upstream_status.PAGE) as stream:
        assert stream.read() == upstream_status.render(_STATUS)
