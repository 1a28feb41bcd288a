"""Training: everything that can be wrong is found first, then steps are taken until the end or until asked to
stop."""

import collections
import dataclasses
import logging
import math
import os

import tensorflow.compat.v1 as tf

from nets.checkpoints import preset_file, restore
from nets.data import pipeline
from nets.training import (
    files,
    graph,
    inputs,
    op_errors,
    reporting,
    run_lock,
    run_state,
    saving,
    schedules,
    signals,
    validation,
)
from nets.training.config import micro_batch_size

logger = logging.getLogger(__name__)

# step: steps taken in all. loss: total loss of the last one, None if there was none. checkpoint_path: the
# newest. stopped_by: the `signal.Signals` that ended the run early, or None. skipped: names of corrupt images
# left out.
TrainResult = collections.namedtuple('TrainResult', (
    'step', 'loss', 'checkpoint_path', 'stopped_by', 'skipped'))


def train(config):
    """Trains a classifier, from the newest checkpoint in `train_dir` if there is one.

    Checkpoints are written before the first step of a new run, every `save_interval_secs`, at the end, and on
    Ctrl-C or SIGTERM, after which the function returns. A run that was stopped, by whatever, and is started again goes
    on as if nothing had happened: with the same images in the same order, changed in the same way.

    Args:
        config: A `TrainConfig`.

    Returns:
        A `TrainResult`.

    Raises:
        ValueError: The configuration cannot work: unknown names, no data, a directory that cannot be written
            to, or in which another process trains, a checkpoint that does not fit. Also a corrupt image without
            `skip_corrupt`, once it comes up.
        FloatingPointError: The loss or a variable became NaN or infinite; no checkpoint has such values.
    """
    files.writable_dir(config.train_dir, 'train_dir')
    with run_lock.held(config.train_dir):
        found = saving.newest_checkpoint(config.train_dir)
        task = graph.training_task(config, found.path if found else config.fine_tune.checkpoint_path)
        config = schedules.with_steps(config, task.dataset.num_examples)
        if found and config.max_number_of_steps is not None and found.step >= config.max_number_of_steps:
            logger.info('%s is at step %d already, and --max_number_of_steps is %d: nothing to do.', found.path,
                        found.step, config.max_number_of_steps)
            return TrainResult(found.step, None, found.path, None, [])
        if task.preset:
            preset_file.write_file(os.path.join(config.train_dir, preset_file.DIRECTORY_FILE), task.preset)
        state = _state(config, found)
        with tf.Graph().as_default():
            tf.set_random_seed(state.seed)
            return _train(dataclasses.replace(config, seed=state.seed), task, found, state)


def _state(config, found):
    """The `RunState` to begin with."""
    if not found:
        return run_state.first(config.seed)
    state = run_state.read(found.reader, found.step, config.data.batch_size, config.seed)
    if config.seed not in (None, state.seed):
        logger.info('--seed=%d is not used: the run in %s has the seed %d.', config.seed, config.train_dir, state.seed)
    return state


def _train(config, task, found, state):
    """Builds the graph in the current one, restores, and runs."""
    skipped = []
    batch, initialize_batches = inputs.next_batch(
        task, config.data, micro_batch_size(config),
        pipeline.Share(state.seed, state.examples, config.data.batch_size),
        skip_corrupt=skipped if config.data.skip_corrupt else None)
    built = graph.build_train_graph(config, task, batch)
    state_variables, advance = run_state.add_variables(state, config.data.batch_size)
    checkpointer = saving.Checkpointer(config.train_dir, config.save_interval_secs)
    load = _initial_weights(config, built, found, state_variables)
    initialize = [tf.global_variables_initializer(), tf.local_variables_initializer()]
    tf.get_default_graph().finalize()

    start_step = found.step if found else 0
    session_config = inputs.session_config(config.clone_on_cpu, config.xla)
    with tf.Session(config=session_config) as session, signals.stop_request() as request:
        _checked_run(session, [initialize, initialize_batches])
        load(session)
        _announce(config, task, start_step)
        with reporting.Reporter(config, start_step, session.graph) as reporter:
            if found:
                checkpointer.resume_from(found.path, start_step)
            else:
                checkpointer.save(session, start_step)
            steps = _Steps(session, config, built, batch, advance)
            step, loss = _run(config, steps, checkpointer, reporter, request, start_step)
            path = checkpointer.save(session, step)
    if skipped:
        logger.warning('Corrupt images left out (%d): %s', len(skipped), ', '.join(skipped[:20]))
    return TrainResult(step, loss, path, request.signal, skipped)


def _initial_weights(config, built, found, state_variables):
    """A function of a session that loads what the run begins with."""
    tune = config.fine_tune
    if found:
        logger.info('Resuming from %s.', found.path)
        if tune.checkpoint_path:
            logger.info('--checkpoint_path=%s is not used: %s holds a run already. Give another --train_dir '
                        'to start from it.', tune.checkpoint_path, config.train_dir)
        # The state's variables begin with what was read of it.
        return restore.restore_fn(found.path, [one for one in tf.global_variables() if one not in state_variables])
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


class _Steps:
    """Takes single steps."""

    def __init__(self, session, config, built, batch, advance):
        self.session = session
        self._config = config
        told = {'names': batch['name'], 'wait': batch['wait']}
        self._accumulate = told, built.accumulate_op
        self._step = told, built.metrics, built.train_op, advance

    def take(self):
        """Takes one step.

        Returns:
            Dict of floats, the metrics and `data_wait` in seconds; and the names of the images.
        """
        parts = [_checked_run(self.session, self._accumulate)[0] for _ in range(self._config.gradient_accumulation - 1)]
        last, metrics, _, _ = _checked_run(self.session, self._step)
        parts.append(last)
        values = {key: float(value) for key, value in metrics.items()}
        values['data_wait'] = float(sum(part['wait'] for part in parts))
        return values, [os.fsdecode(name) for part in parts for name in part['names']]


def _run(config, steps, checkpointer, reporter, request, step):
    """Takes steps; returns the number of the last one and its loss."""
    limit = config.max_number_of_steps or math.inf
    values = {'loss': None}
    if step and validation.is_missing(config, step):  # the run was stopped just before
        validation.validate(config, checkpointer.last, step)
    while step < limit and request.signal is None:
        values, names = steps.take()
        step += 1
        if not math.isfinite(values['loss']) and 'skipped' not in values:
            what = f'the loss is {values["loss"]}, with the images {", ".join(names[:20])}'
            raise FloatingPointError(saving.diverged(step, what, checkpointer.last))
        reporter.step(step, values, last=step >= limit or request.signal is not None)
        evaluate = validation.is_missing(config, step)
        if evaluate or checkpointer.due():
            checkpointer.save(steps.session, step)
        if evaluate:
            validation.validate(config, checkpointer.last, step)
    return step, values['loss']
