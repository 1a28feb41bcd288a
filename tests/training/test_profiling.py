"""Profiles: of the steps that were asked for, and readable."""

import glob
import gzip
import json
import os
import re

import pytest
import tensorflow.compat.v1 as tf

from nets.training import config, profiling


def _profile(folder, steps, taken):
    """Profiles steps of a session; returns the files that are there then."""
    product = tf.matmul(tf.random_uniform([4, 4]), tf.ones([4, 4]), name='net/product')
    profiler = profiling.StepProfiler(str(folder), steps)
    with tf.Session() as session:
        session.run(product)
        profiler.begin()
        for _ in range(taken):
            session.run(product)
            profiler.after_step()
        profiler.end()
    found = glob.glob(str(folder / 'plugins' / 'profile' / '*' / '*'))
    return {re.sub(r'^[^.]*', '', os.path.basename(path)): path for path in found}


@pytest.mark.parametrize(('steps', 'taken', 'expected'), [
    ((2, 3), 5, ['step 2', 'step 3']), ((1.0, 9.0), 2, ['step 1', 'step 2'])])
def test_steps_and_operations_are_in_both_files(tmp_path, steps, taken, expected):
    found = _profile(tmp_path, steps, taken)
    assert sorted(found) == ['.trace.json.gz', '.xplane.pb']
    with gzip.open(found['.trace.json.gz'], 'rt') as file:
        events = json.load(file)['traceEvents']
    with open(found['.xplane.pb'], 'rb') as file:
        assert b'net/product:MatMul' in file.read()
    assert {event['ph'] for event in events} == {'M', 'X'}
    timed = sorted((event for event in events if event['ph'] == 'X'), key=lambda event: event['ts'])
    begun = [event for event in timed if event['name'].startswith('step ')]
    products = [event for event in timed if event['name'].startswith('net/product:MatMul')]
    assert [event['name'] for event in begun][:len(products)] == expected
    for step, product in zip(begun, products, strict=False):
        assert step['ts'] <= product['ts'] <= product['ts'] + product['dur'] <= step['ts'] + step['dur']


@pytest.mark.parametrize('steps', [(), (4, 5)])
def test_nothing_is_written_for_steps_that_never_come(tmp_path, steps):
    assert _profile(tmp_path, steps, 2) == {}


@pytest.mark.parametrize('steps', [(1,), (0, 2), (3, 2), (1.5, 2), (1, 2, 3), (1, float('inf'))])
def test_steps_must_be_a_first_and_a_last_one(steps):
    with pytest.raises(ValueError, match='profile_steps must be the first and the last step'):
        config.TrainConfig(profile_steps=steps)
