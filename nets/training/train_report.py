"""The page that shows a training run: one HTML file that needs nothing else."""

import collections
import dataclasses
import datetime
import glob
import os
import statistics

from nets.training import files, report_parts, validation
from nets.training.report_parts import escape, percent, section, series

_NAME = 'report.html'

# prefix: a text. step: an int, or None if the name tells none. written: a `datetime.datetime`. size: in bytes.
Checkpoint = collections.namedtuple('Checkpoint', ('prefix', 'step', 'written', 'size'))


def write(config, environment, error=None):
    """Writes `report.html` on the run in a directory.

    Args:
        config: The `RunConfig` of the run.
        environment: Dict of texts, as of `environment.describe`.
        error: The exception that ended it, or None.

    Returns:
        Its path.

    Raises:
        OSError: It cannot be written.
    """
    metrics, evaluations = (files.read_json_lines(os.path.join(config.train_dir, name))
                            for name in (files.METRICS_NAME, validation.LOG_NAME))
    best = validation.read_best(config.train_dir)
    checkpoints = [one for folder in (config.train_dir, os.path.join(config.train_dir, validation.BEST_NAME))
                   for one in find_checkpoints(folder)]
    path = os.path.join(config.train_dir, _NAME)
    files.write_whole(path, page(config, metrics, evaluations, best, checkpoints, environment, error))
    return path


def find_checkpoints(folder):
    """The checkpoints in a folder, the oldest first.

    Args:
        folder: It need not exist.

    Returns:
        List of `Checkpoint`.
    """
    found = []
    for index in glob.glob(os.path.join(glob.escape(folder), '*.ckpt-*.index')):
        prefix = index.removesuffix('.index')
        step = prefix.rpartition('-')[2]
        written = datetime.datetime.fromtimestamp(os.path.getmtime(index), datetime.timezone.utc)
        size = sum(os.path.getsize(path) for path in glob.glob(glob.escape(prefix) + '.*'))
        found.append(Checkpoint(prefix, int(step) if step.isdecimal() else None, written, size))
    return sorted(found, key=lambda one: (one.written, one.prefix))


def page(config, metrics, evaluations, best, checkpoints, environment, error=None):
    """Makes the page.

    Args:
        config: The `RunConfig` of the run.
        metrics: Records of its `metrics.jsonl`.
        evaluations: Records of its `eval.jsonl`.
        best: The one of them whose checkpoint was kept as the best, or None.
        checkpoints: List of `Checkpoint`.
        environment: Dict of texts, as of `environment.describe`.
        error: The exception that ended the run, or None.

    Returns:
        The text of the HTML file.
    """
    failure = f'<pre>{escape(f"{type(error).__name__}: {error}")}</pre>' if error else ''
    return report_parts.page(config.title, [
        report_parts.head(f'Training of {config.title}', config.train_dir), _tiles(config, metrics, best),
        section('Ended by an error', failure),
        section('Curves', report_parts.training_curves(metrics, evaluations, best, config.scores)),
        _recipe(config), section('Checkpoints', _checkpoints(config, checkpoints, best)),
        section('Environment', _table((), environment.items()), 'Of the process that wrote this.')])


def _tiles(config, metrics, best):
    """The numbers that matter most."""
    speeds = series(metrics, 'images_per_sec')
    steps = [step for step, _ in speeds]
    seconds = sum((step - before) * config.data.batch_size / speed
                  for before, (step, speed) in zip([0, *steps], speeds, strict=False) if speed > 0)
    rows = [(f'{steps[-1]:,}' if steps else '0',
             f'steps of {config.max_number_of_steps:,}' if config.max_number_of_steps else 'steps')]
    rows += [(f'{loss:.4f}', 'total loss') for _, loss in series(metrics, 'loss')[-1:]]
    rows += [(percent(value), f'best {name}, at step {step:,}') for score, name in list(config.scores.items())[:1]
             for step, value in series([best or {}], score)]
    if speeds:
        waits = [wait for _, wait in series(metrics, 'data_wait')]
        rows += [(f'{statistics.median(speed for _, speed in speeds):,.4g}', 'images per second (median)'),
                 (percent(statistics.mean(waits) if waits else None), 'of the time waiting for data'),
                 (datetime.timedelta(seconds=round(seconds)), 'of taking steps')]
    return report_parts.tiles(rows)


def _recipe(config):
    """Tables of the settings: those that are not the defaults, and the others."""
    settings, defaults = (dict(_flattened(one)) for one in (config, type(config)()))
    other = [(name, _text(value), _text(defaults[name])) for name, value in settings.items() if value != defaults[name]]
    same = [(name, _text(value)) for name, value in settings.items() if value == defaults[name]]
    return section('Recipe', _table(('setting', 'value', 'default'), other) +
                   f'<details><summary>{len(same)} settings have their defaults</summary>'
                   f'{_table(("setting", "value"), same)}</details>')


def _flattened(config, prefix=''):
    """The fields of a dataclass, and those of dataclasses in it by dotted names, and their values."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _flattened(value, f'{prefix}{field.name}.')
        else:
            yield prefix + field.name, value


def _text(value):
    """A setting's value as a user would write it."""
    if isinstance(value, tuple):
        return ','.join(map(str, value)) or '–'
    return '–' if value in (None, '') else str(value)


def _checkpoints(config, checkpoints, best):
    """A table of the checkpoints."""
    rows = []
    for one in checkpoints:
        mark = 'best' if best and one.step == best.get('step') else ''
        rows.append(('–' if one.step is None else f'{one.step:,}', mark, f'{one.size / 1e6:,.1f} MB',
                     f'{one.written:%Y-%m-%d %H:%M:%S}', os.path.relpath(one.prefix, config.train_dir)))
    return _table(('step', '', 'size', 'written (UTC)', 'files'), rows, 'list whole')


def _table(head, rows, kind='list'):
    """A table of texts; nothing if it has no rows."""
    body = ''.join('<tr>' + ''.join(f'<td>{escape(cell)}</td>' for cell in row) + '</tr>' for row in rows)
    head = ''.join(f'<th scope="col">{name}</th>' for name in head)
    head = f'<tr>{head}</tr>' if head else ''
    return f'<div class="scroll"><table class="{kind}">{head}{body}</table></div>' if body else ''
