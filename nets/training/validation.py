"""Evaluation in the middle of training, and the checkpoint that was best at it."""

import glob
import json
import logging
import os
import shutil

from nets import atomic_file
from nets.training import files

logger = logging.getLogger(__name__)

LOG_NAME = 'eval.jsonl'
BEST_NAME = 'best'
_RECORD = 'best.json'


def is_missing(config, step):
    """Whether a run has to be evaluated at a step, as at its last one, and has not been.

    Args:
        config: A `RunConfig`.
        step: Steps taken so far.
    """
    if not config.eval_every or (step % config.eval_every and step != config.max_number_of_steps):
        return False
    records = files.read_json_lines(os.path.join(config.train_dir, LOG_NAME))
    return all(record.get('step', 0) < step for record in records)


def validate(config, evaluate, checkpoint_path, step):
    """Evaluates a checkpoint of a run on its validation split, and keeps it if none was better by the first score.

    A line goes to `eval.jsonl` in the run's directory; the best checkpoint is in `best/`, with `best.json`.

    Args:
        config: A `RunConfig`.
        evaluate: See `nets.training.problem.Problem`.
        checkpoint_path: Prefix of the checkpoint.
        step: Its step.

    Returns:
        The summary of the evaluation, a dict.

    Raises:
        ValueError: As `evaluate`.
    """
    summary = evaluate(config, checkpoint_path)
    score, name = next(iter(config.scores.items()))
    record = {'step': step, **{key: summary[key] for key in (*config.scores, 'loss')}}
    log = os.path.join(config.train_dir, LOG_NAME)
    files.rewind_json_lines(log, step - 1)
    best = read_best(config.train_dir)
    is_best = best is None or record[score] > best[score] or best['step'] >= step
    logger.info('step %d: %s %.4f on %s%s', step, name, record[score], config.eval_split_name,
                ', the best so far' if is_best else f' (best: {best[score]:.4f} at step {best["step"]})')
    if is_best:
        _keep(config.train_dir, checkpoint_path, record)
    # Last, as a run that is killed evaluates again what is not in the log.
    files.append_json_line(log, record)
    return summary


def read_best(train_dir):
    """The record of the best checkpoint of a run: `step`, its scores and `loss`; None if there is none yet."""
    try:
        with open(os.path.join(train_dir, BEST_NAME, _RECORD), encoding='utf-8') as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def _keep(train_dir, checkpoint_path, record):
    """Copies a checkpoint to `best/`; what was there goes once the new one is complete."""
    folder = os.path.join(train_dir, BEST_NAME)
    os.makedirs(folder, exist_ok=True)
    prefix = os.path.join(folder, os.path.basename(checkpoint_path))
    for path in sorted(glob.glob(glob.escape(checkpoint_path) + '.*')):  # the data before the index
        shutil.copyfile(path, os.path.join(folder, '.copy'))
        os.replace(os.path.join(folder, '.copy'), os.path.join(folder, os.path.basename(path)))
    with atomic_file.writing(os.path.join(folder, _RECORD)) as file:
        json.dump(record, file)
    for path in glob.glob(os.path.join(glob.escape(folder), '*.ckpt-*')):
        if not path.startswith(prefix + '.'):
            os.remove(path)
