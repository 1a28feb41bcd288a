"""`slim.batch_norm` and the layers it normalises equal TensorFlow 1.15's; so do those of `nets.layers`."""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from batch_norm_cases import CASES
from batch_norm_runs import SLIM, Layers, run

from nets import layers

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'goldens')
_IMPLEMENTATIONS = {'slim': SLIM, 'twins': Layers(layers.batch_norm, layers.conv2d)}
# The largest difference, relative to the largest value of an array and at least to 1. Measured: 1.5e-6.
_LIMIT = 4e-6
# What computes in half precision rounds otherwise: the bfloat16 of TensorFlow 1.15 cut off, today's rounds to
# nearest, and convolutions of float16 add up in another order. The spacing of such numbers is 8e-3 and 1e-3.
_HALF_LIMITS = {'bfloat16_fused_off': 3e-2, 'bfloat16_evaluation_fused_off': 5e-2, 'conv2d_float16': 3e-3}


def _fed(name):
    return CASES[name].training == 'fed'


def _in_branch(name):
    """Whether slim assigns variables inside a branch, which newer control flow allows of resources only."""
    return 'updates_collections' in CASES[name].kwargs and not CASES[name].resource


@pytest.fixture(scope='module')
def structures():
    with open(os.path.join(_FOLDER, 'batch_norm.json')) as stream:
        return json.load(stream)


@pytest.fixture(scope='module')
def numbers():
    with np.load(os.path.join(_FOLDER, 'batch_norm.npz')) as arrays:
        return dict(arrays)


@pytest.fixture
def control_flow(request):
    """Switches to the control flow of TensorFlow 1 ('v1') or 2 ('v2') for a test."""
    enabled = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if request.param == 'v2' else tf.disable_control_flow_v2)()
    yield request.param
    (tf.enable_control_flow_v2 if enabled else tf.disable_control_flow_v2)()


def _differences(actual, expected):
    """Scaled differences by name, of a dict of arrays and the golden vector."""
    assert sum(np.size(value) for value in actual.values()) == expected.size
    result, start = {}, 0
    for key in sorted(actual):
        value = np.ravel(actual[key]).astype(np.float64)
        golden = expected[start:start + value.size].astype(np.float64)
        start += value.size
        result[key] = np.abs(value - golden).max() / max(1.0, np.abs(golden).max())
    return result


def _assert_same_structure(name, actual, expected):
    if _fed(name):
        # Here `is_training` picks the amounts to be added; in TensorFlow 1 it picks an operation or none.
        for collection, updates in expected['updates'].items():
            scopes = {update.split('/BatchNorm/')[0] for update in updates}
            assert {update.split('/BatchNorm/')[0] for update in actual['updates'][collection]} == scopes
            assert len(actual['updates'][collection]) == len(updates)
        expected = dict(expected, updates=actual['updates'])
    assert actual == {key: expected[key] for key in actual}


def test_goldens_hold_every_case(structures, numbers):
    assert set(structures) == set(CASES)
    assert set(numbers) == {name for name, case in structures.items()
                            if not {'error', 'cannot_run'} & set(case)}


@pytest.mark.parametrize('control_flow', ['v1'], indirect=True)
@pytest.mark.parametrize('implementation', _IMPLEMENTATIONS)
@pytest.mark.parametrize('name', CASES)
def test_equals_tensorflow_1(name, implementation, control_flow, structures, numbers):
    golden = structures[name]
    if 'error' in golden:
        with pytest.raises((TypeError, ValueError)) as caught:
            run(name, _IMPLEMENTATIONS[implementation])
        assert type(caught.value).__name__ == golden['error']
        return
    structure, train = run(name, _IMPLEMENTATIONS[implementation])
    _assert_same_structure(name, json.loads(json.dumps(structure)), golden)
    if 'cannot_run' not in golden:
        differences = _differences(train(), numbers[name])
        limit = _HALF_LIMITS.get(name, _LIMIT)
        assert {key: value for key, value in differences.items() if not value <= limit} == {}


@pytest.mark.parametrize('control_flow', ['v2'], indirect=True)
@pytest.mark.parametrize('implementation', _IMPLEMENTATIONS)
@pytest.mark.parametrize('name', [name for name in CASES if _fed(name) and not _in_branch(name)])
def test_placeholder_trains_the_same_under_newer_control_flow(name, implementation, control_flow, numbers):
    _, train = run(name, _IMPLEMENTATIONS[implementation])
    assert max(_differences(train(), numbers[name]).values()) <= _LIMIT
