"""What a run tells: steps, speed, waiting and time left by a clock under our control."""

import json
import logging

import pytest
import tensorflow.compat.v1 as tf

from nets.training import config, reporting, summaries


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def _values(loss, data_wait=0.0, **values):
    return {'loss': loss, 'cross_entropy': loss / 2, 'learning_rate': 0.1, 'data_wait': data_wait, **values}


def _config(tmp_path, **values):
    return config.TrainConfig(train_dir=str(tmp_path), log_every_n_steps=5,
                              data=config.DataConfig(batch_size=4),
                              **values)


def _records(tmp_path):
    def refuse(text):
        raise ValueError(f'{text} is not JSON')

    return [json.loads(line, parse_constant=refuse) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]


def _events(tmp_path):
    return [(event.step, {value.tag: value.simple_value for value in event.summary.value})
            for path in sorted(tmp_path.glob('events*')) for event in tf.train.summary_iterator(str(path))
            if event.summary.value]


def test_lines_and_records_come_every_n_steps_with_speed_waiting_and_time_left(tmp_path, caplog):
    clock = Clock()
    with caplog.at_level(logging.INFO), reporting.Reporter(
            _config(tmp_path, max_number_of_steps=20), 0, interactive=False, clock=clock) as reporter:
        for step in range(1, 11):
            clock.now += 2
            reporter.step(step, _values(step, 0.5 if step < 6 else 1.5))
    assert [record['step'] for record in _records(tmp_path)] == [5, 10]
    assert [record['images_per_sec'] for record in _records(tmp_path)] == [2.0, 2.0]
    assert [record['data_wait'] for record in _records(tmp_path)] == [0.25, 0.75]
    assert _records(tmp_path)[1]['loss'] == 10
    assert caplog.messages[1] == ('step 10/20  loss 10.0000  2 images/s  data wait 75%  rate 0.1  0:00:20 left')


def test_pauses_count_for_the_time_left_and_not_for_speed_and_waiting(tmp_path, caplog):
    clock = Clock()
    with caplog.at_level(logging.INFO), reporting.Reporter(
            _config(tmp_path, max_number_of_steps=10), 0, interactive=False, clock=clock) as reporter:
        for step in range(1, 6):
            clock.now += 2
            with reporter.paused():
                clock.now += 100
            clock.now += 2
            reporter.step(step, _values(step, 1.0))
    record, = _records(tmp_path)
    assert (record['images_per_sec'], record['data_wait']) == (1.0, 0.25)
    assert caplog.messages[0].endswith('0:08:40 left')


def test_all_metrics_are_recorded_and_those_that_are_no_numbers_as_null(tmp_path, caplog):
    clock = Clock()
    with caplog.at_level(logging.INFO), reporting.Reporter(
            _config(tmp_path), 0, interactive=False, clock=clock) as reporter:
        clock.now += 1
        reporter.step(1, _values(float('nan'), gradient_norm=float('inf'), loss_scale=1024.0, skipped=3.0), last=True)
    record, = _records(tmp_path)
    assert (record['loss'], record['gradient_norm'], record['loss_scale'], record['skipped']) == (None, None, 1024, 3)
    assert caplog.messages[0].endswith('3 skipped')
    (step, tags), = _events(tmp_path)
    assert step == 1
    assert tags.keys() == {'learning_rate', 'loss_scale', 'skipped', 'images/sec', 'data_wait', 'global_step/sec'}


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


def test_summaries_come_by_the_clock_and_at_the_end_and_are_announced(tmp_path):
    clock = Clock()
    announced = []
    with reporting.Reporter(_config(tmp_path, save_summaries_secs=10, max_number_of_steps=8), 0, interactive=False,
                            clock=clock) as reporter:
        for step in range(1, 9):
            shown = []
            if reporter.summarizes_next:
                announced.append(step)
                shown = [summaries.scalars({'more': step}).SerializeToString()]
            clock.now += 3
            reporter.step(step, _values(step), shown, last=step == 8)
    events = _events(tmp_path)
    assert announced == [5, 8]
    assert [step for step, tags in events if 'more' in tags] == announced
    events = [(step, tags) for step, tags in events if 'total_loss' in tags]
    assert [step for step, _ in events] == announced
    assert events[1][1]['total_loss'] == 8
    assert events[1][1]['learning_rate'] == pytest.approx(0.1)
    assert events[1][1]['losses/cross_entropy'] == 4
    assert events[1][1]['images/sec'] == pytest.approx(4 / 3)


def test_terminal_gets_a_bar_with_speed_loss_and_time_left(tmp_path, capsys):
    clock = Clock()
    with reporting.Reporter(_config(tmp_path, max_number_of_steps=5), 0, interactive=True, clock=clock) as reporter:
        for step in range(1, 6):
            clock.now += 0.5
            reporter.step(step, _values(0.5, 0.1), last=step == 5)
    lines = capsys.readouterr().err.replace('\r', '\n').splitlines()
    shown = [line for line in lines if not line.startswith('The report is ')][-1]
    assert len(shown) <= 80
    assert '100%' in shown
    assert '5/5' in shown
    assert 'loss 0.5000, 8 images/s, data wait 20%, rate 0.1' in shown
    assert '<00:00' in shown
