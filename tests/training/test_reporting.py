"""What a run tells: steps, speed and time left by a clock under our control."""

import json
import logging

import pytest
import tensorflow.compat.v1 as tf

from nets.training import config, reporting


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def _values(loss):
    return {'loss': loss, 'cross_entropy': loss / 2, 'learning_rate': 0.1}


def _config(tmp_path, **values):
    return config.TrainConfig(train_dir=str(tmp_path), log_every_n_steps=5,
                              data=config.DataConfig(batch_size=4),
                              **values)


def _records(tmp_path):
    return [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]


def _events(tmp_path):
    return [(event.step, {value.tag: value.simple_value for value in event.summary.value})
            for path in sorted(tmp_path.glob('events*')) for event in tf.train.summary_iterator(str(path))
            if event.summary.value]


def test_lines_and_records_come_every_n_steps_with_speed_and_time_left(tmp_path, caplog):
    clock = Clock()
    with caplog.at_level(logging.INFO), reporting.Reporter(
            _config(tmp_path, max_number_of_steps=20), 0, interactive=False, clock=clock) as reporter:
        for step in range(1, 11):
            clock.now += 2
            reporter.step(step, _values(step))
    assert [record['step'] for record in _records(tmp_path)] == [5, 10]
    assert [record['images_per_sec'] for record in _records(tmp_path)] == [2.0, 2.0]
    assert _records(tmp_path)[1]['loss'] == 10
    assert caplog.messages[1] == 'step 10/20  loss 10.0000  rate 0.1  2 images/s  0:00:20 left'


def test_last_step_is_reported_in_any_case_and_once(tmp_path):
    with reporting.Reporter(_config(tmp_path), 0, interactive=False, clock=Clock()) as reporter:
        for step in range(1, 6):
            reporter.step(step, _values(1.0), last=step == 5)
        reporter.step(7, _values(2.0), last=True)
    assert [record['step'] for record in _records(tmp_path)] == [5, 7]


def test_resumed_run_drops_the_records_that_it_writes_again(tmp_path):
    with reporting.Reporter(_config(tmp_path), 0, interactive=False) as reporter:
        for step in range(1, 16):
            reporter.step(step, _values(1.0))
    with reporting.Reporter(_config(tmp_path), 7, interactive=False) as reporter:
        for step in range(8, 11):
            reporter.step(step, _values(2.0))
    assert [(record['step'], record['loss']) for record in _records(tmp_path)] == [(5, 1.0), (10, 2.0)]


def test_summaries_come_by_the_clock_and_at_the_end(tmp_path):
    clock = Clock()
    with reporting.Reporter(_config(tmp_path, save_summaries_secs=10), 0, interactive=False,
                            clock=clock) as reporter:
        for step in range(1, 9):
            clock.now += 3
            reporter.step(step, _values(step), last=step == 8)
    events = _events(tmp_path)
    assert [step for step, _ in events] == [4, 8]
    assert events[1][1]['total_loss'] == 8
    assert events[1][1]['learning_rate'] == pytest.approx(0.1)
    assert events[1][1]['losses/cross_entropy'] == 4
    assert events[1][1]['images/sec'] == pytest.approx(4 / 3)


def test_terminal_gets_a_bar_with_speed_loss_and_time_left(tmp_path, capsys):
    with reporting.Reporter(_config(tmp_path, max_number_of_steps=5), 0, interactive=True) as reporter:
        for step in range(1, 6):
            reporter.step(step, _values(0.5), last=step == 5)
    shown = capsys.readouterr().err.replace('\r', '\n').splitlines()[-1]
    assert '100%' in shown
    assert '5/5' in shown
    assert 'images/s, loss 0.5000' in shown
    assert '<00:00' in shown
