"""Evaluation: every example exactly once, and a report of what the network gets wrong."""

import collections
import contextlib
import datetime
import json
import logging
import math
import os
import sys

import tensorflow.compat.v1 as tf
from tqdm import tqdm

from nets.checkpoints import restore
from nets.inference import engines
from nets.training import files, inputs, op_errors, report, summaries, tally, terminal, thumbnails

logger = logging.getLogger(__name__)

_LOG_EVERY_N_BATCHES = 10
_DETAILS_ONLY = ('per_class_accuracy', 'confusion_matrix', 'class_names', 'skipped')

# summary: dict, one line of JSON. details: dict, the summary and the numbers of each class.
EvalResult = collections.namedtuple('EvalResult', ('summary', 'details'))


def evaluate(config):
    """Evaluates a checkpoint and writes `eval.json`, `report.html` and TensorBoard summaries to `eval_dir`.

    Where a run trains in the same directory, the report is `eval_report.html`, as `report.html` is the run's. What is
    computed is the folded network (see `nets.inference.fold`).

    Args:
        config: An `EvalConfig`.

    Returns:
        An `EvalResult`. The summary has `top_1`, `top_5` (of as many classes as there are, if less than 5),
        `loss` (mean cross entropy in nats), `num_examples`, `num_skipped`, `num_classes`, `dataset_name`,
        `dataset_split_name`, `model_name`, `checkpoint_path`, `global_step` (None if the checkpoint has
        none), `eval_json` and `report`; the details also have `per_class_accuracy` (by class name),
        `confusion_matrix` (rows: true classes), `class_names` and `skipped` (names of images).

    Raises:
        ValueError: The configuration cannot work, an image is corrupt (without `skip_corrupt`), a label is
            no class, or not every example came up exactly once.
        ImportError: The engine's packages are not installed.
    """
    engines.check(config.engine)
    files.writable_dir(config.eval_dir, 'eval_dir')
    path = restore.find_checkpoint(config.checkpoint_path)
    task = inputs.make_task(config.model_name, config.data, is_training=False, checkpoint_path=path)
    step = restore.read_step(path)
    skipped = []
    with tf.Graph().as_default():
        batch, initialize = inputs.next_batch(
            task, config.data, skip_corrupt=skipped if config.data.skip_corrupt else None)
        with (_network(config, task, path, batch['image'].shape) as network,
              tf.Session(config=inputs.session_config(config.clone_on_cpu)) as session):
            session.run(initialize)
            logger.info('Evaluating %s on %s/%s: %d images, %d classes.', path, config.data.dataset_name,
                        config.data.dataset_split_name, task.dataset.num_examples, task.num_classes)
            counted = _count(config, session, batch, network, task)
    _check_count(config, task, counted.count, skipped)
    details = _details(config, task, counted, skipped, path, step)
    _write(config, details, counted)
    return EvalResult({key: details[key] for key in details if key not in _DETAILS_ONLY}, details)


@contextlib.contextmanager
def _network(config, task, path, shape):
    """A function from preprocessed images of a shape, an array, to logits `[batch, classes]`."""
    session_config = inputs.session_config(config.clone_on_cpu)
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, shape, name='images')
        logits, _ = task.network_fn(images)
        load = restore.restore_fn(path, tf.model_variables(), renames=config.checkpoint_renames,
                                  moving_averages=config.moving_average_decay is not None)
    with contextlib.closing(tf.Session(graph=graph, config=session_config)) as session:
        load(session)
        with engines.of_session(config.engine, session, images, {'logits': logits}, session_config) as engine:
            yield lambda batch: engine(batch)['logits']


def _count(config, session, tensors, network, task):
    """Runs over the batches; returns the `Tally`."""
    counted = tally.Tally(task.num_classes)
    total = math.ceil(task.dataset.num_examples / config.data.batch_size)
    total = min(total, config.max_num_batches or total)
    interactive = sys.stderr.isatty()
    with tqdm(total=total, desc='evaluating', ncols=terminal.bar_width(), disable=not interactive) as bar:
        for done in range(config.max_num_batches or sys.maxsize):
            try:
                batch = session.run(tensors)
                batch['logits'] = network(batch['image'])
            except tf.errors.OutOfRangeError:
                break
            except tf.errors.OpError as error:
                raise ValueError(op_errors.describe(error)) from error
            mask = batch['mask']
            counted.add(*(batch[key][mask] for key in ('logits', 'label', 'name', 'encoded')))
            bar.update(1)
            if not interactive and (done + 1) % _LOG_EVERY_N_BATCHES == 0:
                logger.info('batch %d/%d', done + 1, total)
    return counted


def _check_count(config, task, count, skipped):
    """Raises a ValueError if examples came up twice or never, or if there was none at all."""
    expected = task.dataset.num_examples - len(skipped)
    most = config.max_num_batches * config.data.batch_size if config.max_num_batches else expected
    # With a limit, images that were skipped after the last batch were decoded ahead of their turn.
    right = count == expected if most >= task.dataset.num_examples else count in (most, expected)
    if not right:
        raise ValueError(f'{count} examples were evaluated, {expected} should have been: the data set '
                         f'says that it holds {task.dataset.num_examples}, of which {len(skipped)} were skipped. '
                         'Either files changed meanwhile, or these are not the files of that data set: '
                         '--dataset_name=tfrecords and --file_pattern count what is there.')
    if not count:
        raise ValueError('No image was left to evaluate.')


def _details(config, task, counted, skipped, path, step):
    """All results, as JSON can hold them."""
    return {
        'top_1': counted.top_1_accuracy(),
        'top_5': counted.top_k_accuracy(),
        'loss': counted.loss(),
        'num_examples': counted.count,
        'num_skipped': len(skipped),
        'num_classes': task.num_classes,
        'dataset_name': config.data.dataset_name,
        'dataset_split_name': config.data.dataset_split_name,
        'model_name': config.model_name,
        'checkpoint_path': path,
        'global_step': step,
        'evaluated_at': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'eval_json': os.path.join(config.eval_dir, 'eval.json'),
        'report': files.eval_report_path(config.eval_dir),
        'class_names': list(task.class_names),
        'per_class_accuracy': counted.per_class_accuracy(),
        'confusion_matrix': counted.confusion.tolist(),
        'skipped': sorted(skipped),
    }


def _write(config, details, counted):
    """Writes the files; each appears whole or not at all."""
    files.write_whole(details['eval_json'], json.dumps(details) + '\n')
    train_dir = os.path.dirname(details['checkpoint_path'])
    metrics = files.read_json_lines(os.path.join(train_dir, files.METRICS_NAME))
    pictures = thumbnails.thumbnails([mistake.encoded for mistake in counted.mistakes])
    files.write_whole(details['report'], report.page(details, metrics, counted.mistakes, pictures))
    with tf.Graph().as_default():
        writer = tf.summary.FileWriter(config.eval_dir)
        # slim's names.
        writer.add_summary(summaries.scalars({
            'eval/Accuracy': details['top_1'], 'eval/Recall_5': details['top_5'],
            'eval/loss': details['loss']}), details['global_step'] or 0)
        writer.close()
