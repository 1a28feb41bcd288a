"""The report of a training run: complete, self-contained, and readable whatever the run left."""

import datetime
import json
import re
import sys

import numpy as np
import pytest
from page_parser import Parser

from nets.training import config, environment, train_report

NASTY = '<script>alert("x")</script>&\''
RECORD = {'loss': 2.5, 'cross_entropy': 2.0, 'learning_rate': 0.1, 'images_per_sec': 40.0, 'data_wait': 0.25}


def _config(tmp_path='/tmp/run', **values):
    return config.TrainConfig(**{'train_dir': str(tmp_path), 'model_name': 'tiny', 'max_number_of_steps': 200,
                                 'data': config.DataConfig(batch_size=8), **values})


def _page(metrics=(), evaluations=(), best=None, checkpoints=(), told=None, error=None, **values):
    return train_report.page(_config(**values), metrics, evaluations, best, checkpoints, told or {}, error)


def _words(page):
    return ' '.join(re.sub('<[^>]+>', ' ', page).split())


def _curves(page):
    """Pairs of caption and number of points, of all curves."""
    return [(caption, max(len(re.findall('<circle class="dot', curves)), *(
        len(points.split()) for points in re.findall('points="(.*?)"', curves)), 0))
        for caption, curves in re.findall(r'<figcaption>(.*?)(?: <span.*?)?</figcaption>(.*?)</figure>', page)]


def test_needs_nothing_from_elsewhere_and_escapes_what_users_named():
    page = _page([{**RECORD, 'step': 1}], told={'command': NASTY}, error=ValueError(NASTY), model_name=NASTY)
    parsed = Parser(page)
    assert not {tag for tag, _ in parsed.tags} & {'script', 'link', 'iframe', 'object', 'img'}
    assert not re.findall(r'\b(?:src|href)\s*=|url\(|@import', page)
    assert parsed.text.count(NASTY) == 5  # title, head, error, recipe, command
    assert 'prefers-color-scheme: dark' in page
    assert f'ValueError: {NASTY}' in parsed.text


def test_says_the_numbers_of_the_run():
    metrics = [{**RECORD, 'step': step, 'images_per_sec': 40.0 + step} for step in (0, 10, 20)]
    written = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    best = {'step': 10, 'top_1': 0.875, 'loss': 0.5}
    checkpoints = [train_report.Checkpoint('/tmp/run/model.ckpt-20', 20, written, 2_500_000),
                   train_report.Checkpoint('/tmp/run/best/model.ckpt-10', 10, written, 2_400_000)]
    words = _words(_page(metrics, [best, {'step': 20, 'top_1': 0.75, 'loss': 0.6}], best, checkpoints))
    for expected in ('20 steps of 200', '2.5000 total loss', '87.50 % best top-1 accuracy, at step 10',
                     '50 images per second (median)', '25.00 % of the time waiting for data',
                     '0:00:03 of taking steps',  # 10 steps of 8 images at 50 and at 60 images per second
                     '20 2.5 MB 2026-01-02 03:04:05 model.ckpt-20',
                     '10 best 2.4 MB 2026-01-02 03:04:05 best/model.ckpt-10'):
        assert expected in words
    assert 'Ended by an error' not in words


def test_recipe_tells_what_is_not_the_default_and_folds_the_rest():
    schedule = config.ScheduleConfig(learning_rate_boundaries=(30.0, 60.0))
    page = _page(schedule=schedule, label_smoothing=0.1)
    given, rest = page.split('<details>')
    for row in ('label_smoothing 0.1 0.0', 'schedule.learning_rate_boundaries 30.0,60.0 –', 'data.batch_size 8 32',
                'max_number_of_steps 200 –'):
        assert row in _words(given)
        assert row.split()[0] not in _words(rest.split('</details>')[0])
    for row in ('schedule.learning_rate 0.01', 'optimizer.momentum 0.9', 'weight_decay 4e-05', 'seed –'):
        assert row in _words(rest.split('</details>')[0])
        assert row not in _words(given)
    words = _words(rest)
    count = int(re.search(r'(\d+) settings have their defaults', words).group(1))
    assert len(re.findall('<tr>', rest.split('</details>')[0])) == count + 1


def test_no_point_one_point_and_a_hundred_thousand():
    assert _curves(_page()) == []
    assert '0 steps of 200' in _words(_page())
    one = _page([{**RECORD, 'step': 10}], [{'step': 10, 'top_1': 0.5, 'top_5': 1.0, 'loss': 1.0}])
    assert [points for _, points in _curves(one)] == [2, 2, 1, 1, 1, 1]
    metrics = [{**RECORD, 'step': step, 'loss': step / 1e5} for step in range(1, 100_001)]
    many = _page(metrics)
    assert len(many) < 100_000
    assert _curves(many) == [(caption, 400) for caption in (
        'Cross entropy in nats', 'Total loss', 'Learning rate', 'Images per second', 'Time waiting for data in %')]
    assert '100,000</text>' in many


def test_metrics_that_only_some_runs_have_get_curves():
    metrics = [{**RECORD, 'step': step, 'gradient_norm': 1.0 * step, 'loss_scale': 1024.0, 'skipped': 0.0}
               for step in range(3)]
    assert [caption for caption, _ in _curves(_page(metrics))][-3:] == [
        'Norm of the gradients', 'Loss scale', 'Skipped steps']


def test_best_evaluation_has_the_ring():
    evaluations = [{'step': step, 'top_1': top_1, 'loss': 1.0} for step, top_1 in ((5, 0.2), (10, 0.6), (15, 0.4))]
    page = _page(evaluations=evaluations, best=evaluations[1])
    ring, = re.findall(r'<circle class="mark" cx="(.*?)" cy="(.*?)"', page)
    dots = re.findall(r'<circle class="dot curve-0" cx="(.*?)" cy="(.*?)"', page)
    assert dots.index(ring) == 1
    assert float(ring[1]) == min(float(y) for _, y in dots)


DAMAGED = ['{"step": 20, "lo', '[1, 2]', 'null', '', '{"step": "x"}', '{"loss": 1}', '{"step": 30, "loss": NaN}',
           '{"step": 40, "loss": null, "cross_entropy": "much", "images_per_sec": 0, "data_wait": {}}',
           '{"step": 50, "loss": Infinity, "images_per_sec": 1e999, "learning_rate": [1]}', '\x00\xff']


def test_damaged_records_and_files_are_survived(tmp_path):
    lines = [json.dumps({**RECORD, 'step': 10}), *DAMAGED, json.dumps({**RECORD, 'step': 60})]
    for name in ('metrics.jsonl', 'eval.jsonl'):
        (tmp_path / name).write_text('\n'.join(lines), encoding='latin-1')
    (tmp_path / 'best').mkdir()
    (tmp_path / 'best' / 'best.json').write_text('{"step": ')
    (tmp_path / 'model.ckpt-x.index').write_text('')
    path = train_report.write(_config(tmp_path), environment.describe())
    with open(path, encoding='utf-8') as file:
        page = file.read()
    Parser(page)
    assert not re.search(r'\b(nan|inf|NaN|Infinity|None)\b', page)
    assert dict(_curves(page))['Total loss'] == 2
    assert '60 steps of 200' in _words(page)
    assert 'model.ckpt-x' in page


def test_checkpoints_are_found_with_their_sizes(tmp_path):
    for name, size in (('model.ckpt-5.index', 10), ('model.ckpt-5.data-00000-of-00001', 1000),
                       ('model.ckpt-50.index', 1), ('checkpoint', 7), ('model.ckpt-7.data-00000-of-00001', 3)):
        (tmp_path / name).write_bytes(b'x' * size)
    found = {one.step: one.size for one in train_report.find_checkpoints(str(tmp_path))}
    assert found == {5: 1010, 50: 1}
    assert train_report.find_checkpoints(str(tmp_path / 'none')) == []


def test_environment_is_that_of_this_process(monkeypatch, tmp_path):
    monkeypatch.setenv('TF_XLA_FLAGS', '--something')
    told = environment.describe()
    assert told['NumPy'] == np.__version__
    assert told['command'].startswith(sys.orig_argv[0])
    assert 'TF_XLA_FLAGS=--something' in told['variables']
    assert re.fullmatch(r'.+, [1-9]\d* cores', told['processor'])
    assert all(isinstance(value, str) for value in told.values())
    monkeypatch.chdir(tmp_path)
    assert 'git commit' not in environment.describe()


@pytest.mark.parametrize('changed', [False, True])
def test_environment_names_the_commit_and_whether_files_differ(tmp_path, monkeypatch, changed):
    import subprocess
    monkeypatch.chdir(tmp_path)

    def git(*command):
        return subprocess.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@b', *command], check=True, text=True,
                              capture_output=True).stdout.strip()

    git('init', '-q')
    (tmp_path / 'file').write_text('one')
    git('add', 'file')
    git('commit', '-q', '-m', 'one')
    git('tag', 'v1')
    if changed:
        (tmp_path / 'file').write_text('two')
    assert environment.describe()['git commit'] == git('rev-parse', 'HEAD') + ('-dirty' if changed else '')
