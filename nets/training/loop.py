"""Training: everything that can be wrong is found first, then steps are taken until the end or until asked to
stop."""

import collections
import logging
import math
import os
import zlib

import tensorflow.compat.v1 as tf

from nets.checkpoints import preset_file, restore
from nets.training import (
    files,
    graph,
    inputs,
    op_errors,
    reporting,
    saving,
    schedules,
    signals,
)

logger = logging.getLogger(__name__)

# step: steps taken in all. loss: total loss of the last one, None if there was none. checkpoint_path: the
# newest. stopped_by: the `signal.Signals` that ended the run early, or None. skipped: names of corrupt images
# left out.
TrainResult = collections.namedtuple('TrainResult', (
    'step', 'loss', 'checkpoint_path', 'stopped_by', 'skipped'))


def train(config):
    """Trains a classifier, from the newest checkpoint in `train_dir` if there is one.

    Checkpoints are written before the first step of a new run, every `save_interval_secs`, at the end, and on
    Ctrl-C or SIGTERM, after which the function returns. Which images come in which order depends on the seed
    and on the step that a run starts at: a restart goes on with new shuffles and does not repeat those of the
    first start.

    Args:
        config: A `TrainConfig`.

    Returns:
        A `TrainResult`.

    Raises:
        ValueError: The configuration cannot work: unknown names, no data, a directory that cannot be written
            to, a checkpoint that does not fit. Also a corrupt image without `skip_corrupt`, once it comes up.
        FloatingPointError: The loss or a variable became NaN or infinite; no checkpoint has such values.
    """
    newest, start_step = saving.newest_checkpoint(config.train_dir)
    task = graph.training_task(config, newest or config.fine_tune.checkpoint_path)
    config = schedules.with_steps(config, task.dataset.num_examples)
    files.writable_dir(config.train_dir, 'train_dir')
    if config.max_number_of_steps is not None and start_step >= config.max_number_of_steps:
        logger.info('%s is at step %d already, and --max_number_of_steps is %d: nothing to do.', newest,
                    start_step, config.max_number_of_steps)
        return TrainResult(start_step, None, newest, None, [])
    if task.preset:
        preset_file.write_file(os.path.join(config.train_dir, preset_file.DIRECTORY_FILE), task.preset)
    seed = seed_at(config.seed, start_step)
    with tf.Graph().as_default():
        tf.set_random_seed(seed)
        return _train(config, task, newest, start_step, seed)


def seed_at(seed, step):
    """The seed of a run that starts at a step.

    Args:
        seed: An int, or None.
        step: The step.

    Returns:
        An int in [0, 2**31), another one for each seed and step; random without a seed.
    """
    text = f'{seed}:{step}'.encode() if seed is not None else os.urandom(8)
    return zlib.crc32(text) & 0x7fffffff


def _train(config, task, newest, start_step, seed):
    """Builds the graph in the current one, restores, and runs."""
    skipped = []
    batch, initialize_batches = inputs.next_batch(
        task, config.data, is_training=True, seed=seed, skip_corrupt=skipped if config.data.skip_corrupt else
        None)
    built = graph.build_train_graph(config, task, batch)
    checkpointer = saving.Checkpointer(config.train_dir, config.save_interval_secs)
    load = _initial_weights(config, built, newest)
    initialize = [tf.global_variables_initializer(), tf.local_variables_initializer()]
    tf.get_default_graph().finalize()

    session_config = inputs.session_config(config.clone_on_cpu)
    with tf.Session(config=session_config) as session, signals.stop_request() as request:
        _checked_run(session, [initialize, initialize_batches])
        load(session)
        _announce(config, task, start_step)
        with reporting.Reporter(config, start_step, session.graph) as reporter:
            if newest:
                checkpointer.resume_from(newest, start_step)
            else:
                checkpointer.save(session, start_step)
            step, loss = _run(config, session, built, checkpointer, reporter, request, start_step)
            path = checkpointer.save(session, step)
    if skipped:
        logger.warning('Corrupt images left out (%d): %s', len(skipped), ', '.join(skipped[:20]))
    return TrainResult(step, loss, path, request.signal, skipped)


def _initial_weights(config, built, newest):
    """A function of a session that loads what the run begins with."""
    tune = config.fine_tune
    if newest:
        logger.info('Resuming from %s.', newest)
        if tune.checkpoint_path:
            logger.info('--checkpoint_path=%s is not used: %s holds a run already. Give another --train_dir '
                        'to start from it.', tune.checkpoint_path, config.train_dir)
        return restore.restore_fn(newest, tf.global_variables())
    if not tune.checkpoint_path:
        return lambda session: None
    load = restore.restore_fn(tune.checkpoint_path, tf.model_variables(), tune.checkpoint_exclude_scopes,
                              tune.ignore_missing_vars, renames=tune.checkpoint_renames)
    logger.info('Starting from the weights of %s: %d variables restored, %d excluded, %d missing in it.',
                load.path, len(load.restored), len(load.excluded), len(load.missing))

    def load_and_synchronize(session):
        load(session)
        session.run(built.synchronize_averages)

    return load_and_synchronize


def _announce(config, task, start_step):
    """Says what is about to run."""
    logger.info('Training %s on %s/%s: %d images, %d classes, %dx%d pixels (%s), batches of %d, from step %d '
                'to %s.',
                config.model_name, config.data.dataset_name, config.data.dataset_split_name,
                task.dataset.num_examples, task.num_classes, task.image_size, task.image_size,
                task.preprocessing, config.data.batch_size, start_step, config.max_number_of_steps or
                'Ctrl-C')


def _checked_run(session, fetches):
    """Runs a session; an error of TensorFlow becomes a ValueError in one line."""
    try:
        return session.run(fetches)
    except tf.errors.OpError as error:
        raise ValueError(op_errors.describe(error)) from error


def _run(config, session, built, checkpointer, reporter, request, step):
    """Takes steps; returns the number of the last one and its loss."""
    limit = config.max_number_of_steps or math.inf
    values = {'loss': None}
    while step < limit and request.signal is None:
        for _ in range(config.gradient_accumulation - 1):
            _checked_run(session, built.accumulate_op)
        values = {key: float(value) for key, value in _checked_run(session, (built.metrics, built.train_op))[0].items()}
        step += 1
        if not math.isfinite(values['loss']):
            what = f'the loss is {values["loss"]}'
            raise FloatingPointError(saving.diverged(step, what, checkpointer.last))
        reporter.step(step, values, last=step >= limit or request.signal is not None)
        if checkpointer.due():
            checkpointer.save(session, step)
    return step, values['loss']
