"""Training: everything that can be wrong is found first, then steps are taken until the end or until asked to
stop."""

import collections
import contextlib
import dataclasses
import functools
import logging
import math
import os

import tensorflow.compat.v1 as tf

from nets.checkpoints import restore
from nets.data import pipeline
from nets.training import (
    classification,
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
    summaries,
    validation,
)
from nets.training.config import micro_batch_size
from nets.training.distributed import agreement, all_reduce, cluster, slim_flags, tf_config

logger = logging.getLogger(__name__)

# step: steps taken in all. loss: total loss of the last one, None if there was none. checkpoint_path: the
# newest. stopped_by: the `signal.Signals` that ended the run early, or None. skipped: names of corrupt images
# left out.
TrainResult = collections.namedtuple('TrainResult', (
    'step', 'loss', 'checkpoint_path', 'stopped_by', 'skipped'))

# Where a run begins. path: checkpoint to resume, or None. step: its step, or 0. state: `run_state.RunState`.
_Beginning = collections.namedtuple('_Beginning', ('path', 'step', 'state'))


def train(config, problem=classification.PROBLEM):
    """Trains a network, from the newest checkpoint in `train_dir` if there is one.

    Checkpoints are written before the first step of a new run, every `save_interval_secs`, at the end, and on
    Ctrl-C or SIGTERM, after which the function returns. A run that was stopped, by whatever, and is started again goes
    on as if nothing had happened: with the same images in the same order, changed in the same way.

    If the environment variable `TF_CONFIG` names several workers, this process trains together with the others, all of
    which have to call this; the first one alone reads and writes `train_dir`. See docs/distributed.md.

    Args:
        config: A `RunConfig` of the kind that the problem wants; a `TrainConfig` for a classifier.
        problem: What is trained, a `nets.training.problem.Problem`.

    Returns:
        A `TrainResult`.

    Raises:
        ValueError: The configuration cannot work: unknown names, no data, a directory that cannot be written
            to, or in which another process trains, a checkpoint that does not fit. Also a corrupt image without
            `skip_corrupt`, once it comes up.
        FloatingPointError: The loss or a variable became NaN or infinite; no checkpoint has such values.
        nets.training.distributed.cluster.LostWorkerError: Another worker is gone, or fell silent.
    """
    place = tf_config.read()
    slim_flags.check(config.distributed, place)
    micro_batch_size(config, place.num_workers)
    workers = cluster.Cluster(place, config.distributed.collective_timeout_secs)
    with workers.joined(inputs.session_config(config.clone_on_cpu, config.xla)), contextlib.ExitStack() as stack:
        if workers.is_chief:
            files.writable_dir(config.train_dir, 'train_dir')
            stack.enter_context(run_lock.held(config.train_dir))
            files.remove_leftovers(config.train_dir)
        start = _beginning(config, workers)
        task = problem.make_task(config, start.path or config.fine_tune.checkpoint_path)
        graph.check(config)
        config = schedules.with_steps(config, task.dataset.num_examples)
        workers.require_equal(_what_workers_share(config, problem, task))
        if start.path and config.max_number_of_steps is not None and start.step >= config.max_number_of_steps:
            logger.info('%s is at step %d already, and --max_number_of_steps is %d: nothing to do.', start.path,
                        start.step, config.max_number_of_steps)
            return TrainResult(start.step, None, start.path, None, [])
        if workers.is_chief:
            problem.write_preset(config, task)
        with tf.Graph().as_default():
            tf.set_random_seed(start.state.seed)
            return _train(dataclasses.replace(config, seed=start.state.seed), problem, task, start, workers)


def _beginning(config, workers):
    """Where the run begins, as the chief finds it."""
    def find():
        found = saving.newest_checkpoint(config.train_dir)
        return found and found.path, found.step if found else 0, _state(config, found)

    path, step, state = workers.by_chief(find)
    return _Beginning(path, step, run_state.RunState(*state))


def _what_workers_share(config, problem, task):
    """All that has to be the same on all workers; their directories may differ, but not what is in them."""
    told = dict(dataclasses.asdict(config), tensorflow=tf.__version__, num_examples=task.dataset.num_examples,
                **problem.facts(task))
    del told['train_dir'], told['seed'], told['data']['dataset_dir'], told['data']['num_preprocessing_threads']
    del told['fine_tune']['checkpoint_path'], told['distributed']['task']
    return told


def _state(config, found):
    """The `RunState` to begin with."""
    if not found:
        return run_state.first(config.seed)
    state = run_state.read(found.reader, found.step, config.data.batch_size, config.seed)
    if config.seed not in (None, state.seed):
        logger.info('--seed=%d is not used: the run in %s has the seed %d.', config.seed, config.train_dir, state.seed)
    return state


def _train(config, problem, task, start, workers):
    """Builds the graph in the current one, restores, and runs."""
    skipped = []
    batch, initialize_batches = problem.next_batch(
        task, config.data, micro_batch_size(config, workers.num_workers),
        pipeline.Share(start.state.seed, start.state.examples, config.data.batch_size, workers.index,
                       workers.num_workers),
        skip_corrupt=skipped if config.data.skip_corrupt else None)
    reduce = functools.partial(all_reduce.mean, workers,
                               bucket_bytes=config.distributed.all_reduce_megabytes * 1e6)
    built = graph.build_train_graph(config, task, batch, reduce if workers.num_workers > 1 else None, problem.losses)
    state_variables, advance = run_state.add_variables(start.state, config.data.batch_size)
    saver = _Saver(config, problem, workers)
    load = (_initial_weights(config, problem, task, built, start, state_variables) if workers.is_chief else
            lambda session: None)
    initialize = [tf.global_variables_initializer(), tf.local_variables_initializer()]
    share_weights = all_reduce.broadcast(workers, tf.global_variables())
    steps = _Steps(config, workers, built, batch, advance)
    tf.get_default_graph().finalize()

    session_config = workers.session_config(inputs.session_config(config.clone_on_cpu, config.xla))
    with tf.Session(workers.target, config=session_config) as session, signals.stop_request() as request:
        with _plain_errors():
            session.run([initialize, initialize_batches])
        load(session)
        with workers.noticing_loss('The weights cannot be shared'):
            session.run(share_weights, options=workers.run_options(patient=True))
        if workers.is_chief:
            _announce(config, problem, task, start.step, workers.num_workers)
        reporter = reporting.Reporter(config, start.step, session.graph) if workers.is_chief else _Silence()
        with reporter:
            with reporter.paused():
                saver.begin(session, start)
            step, loss, stopped_by = _run(config, workers, session, steps, saver, reporter, request, start.step)
            saver.save(session, step)
    if skipped:
        logger.warning('Corrupt images left out (%d): %s', len(skipped), ', '.join(skipped[:20]))
    return TrainResult(step, loss, saver.last, stopped_by, skipped)


def _initial_weights(config, problem, task, built, start, state_variables):
    """A function of a session that loads what the run begins with."""
    tune = config.fine_tune
    if start.path:
        logger.info('Resuming from %s.', start.path)
        if tune.checkpoint_path:
            logger.info('--checkpoint_path=%s is not used: %s holds a run already. Give another --train_dir '
                        'to start from it.', tune.checkpoint_path, config.train_dir)
        # The state's variables begin with what was read of it.
        variables = graph.resumed_variables(start.path)
        return restore.restore_fn(start.path, [one for one in variables if one not in state_variables])
    if not tune.checkpoint_path:
        return lambda session: None
    load = restore.restore_fn(tune.checkpoint_path, tf.model_variables(), problem.excluded_scopes(config, task),
                              tune.ignore_missing_vars, renames=tune.checkpoint_renames)
    logger.info('Starting from the weights of %s: %d variables restored, %d excluded, %d missing in it.',
                load.path, len(load.restored), len(load.excluded), len(load.missing))

    def load_and_synchronize(session):
        load(session)
        session.run(built.synchronize_averages)

    return load_and_synchronize


def _announce(config, problem, task, start_step, num_workers):
    """Says what is about to run."""
    logger.info('Training %s: %d images, %s, batches of %d%s, from step %d to %s.', config.title,
                task.dataset.num_examples, problem.describe(task), config.data.batch_size,
                f' on {num_workers} workers' if num_workers > 1 else '', start_step,
                config.max_number_of_steps or 'Ctrl-C')


@contextlib.contextmanager
def _plain_errors():
    """An error of TensorFlow becomes a ValueError in one line."""
    try:
        yield
    except tf.errors.OpError as error:
        raise ValueError(op_errors.describe(error)) from error


class _Saver:
    """Checkpoints and evaluations: the chief makes them while the others wait.

    Attributes:
        last: Path of the newest checkpoint.
    """

    def __init__(self, config, problem, workers):
        self._config = config
        self._problem = problem
        self._workers = workers
        self._checkpointer = saving.Checkpointer(config.train_dir, config.save_interval_secs)
        self.last = None

    def begin(self, session, start):
        """Notes what has been restored, or saves the first checkpoint; makes up for an evaluation that is missing."""
        if start.path:
            self._checkpointer.resume_from(start.path, start.step)
            self.last = start.path
        else:
            self.save(session, start.step)
        if start.step:
            self.validate(start.step)

    def wanted(self, step):
        """Whether there is something to do after a step."""
        return self._workers.is_chief and (self._checkpointer.due() or validation.is_missing(self._config, step))

    def save(self, session, step):
        """Saves."""
        self.last = self._workers.by_chief(lambda: self._checkpointer.save(session, step))

    def validate(self, step):
        """Evaluates the newest checkpoint, which is of this step, if that is wanted."""
        def validate():
            if validation.is_missing(self._config, step):
                validation.validate(self._config, self._problem.evaluate, self.last, step)

        self._workers.by_chief(validate)


class _Silence(contextlib.nullcontext):
    """The reporter of workers that have nothing to tell."""

    summarizes_next = False
    paused = contextlib.nullcontext

    def step(self, step, values, shown, last=False):
        """Does nothing."""


class _Steps:
    """Takes single steps."""

    def __init__(self, config, workers, built, batch, advance):
        self._config = config
        self._workers = workers
        self._is_first = True
        self._votes = agreement.Votes(workers, len(_ballot(None, False)))
        self._summaries = summaries.StepSummaries(config, built.images, built.gradients)
        told = {'names': batch['name'], 'wait': batch['wait']}
        self._accumulate = told, built.accumulate_op
        self._step = told, built.metrics, self._votes.fetch, self._summaries.fetches, built.train_op, advance

    def take(self, session, ballot, summarize):
        """Takes one step.

        Args:
            session: The session.
            ballot: Function that returns `_ballot` of this worker.
            summarize: Whether to make images and histograms for TensorBoard, if there shall be any.

        Returns:
            Dict of floats, the metrics and `data_wait` in seconds; the names of the images; the sums of the votes of
            all workers; and a list of serialized summaries.
        """
        parts = [session.run(self._accumulate)[0] for _ in range(self._config.gradient_accumulation - 1)]
        feed = {**self._votes.feed(ballot), **self._summaries.feed(summarize)}
        options = self._workers.run_options(patient=self._is_first)
        last, metrics, votes, shown, _, _ = session.run(self._step, feed, options)
        self._is_first = False
        shown = self._summaries.of_step(session, shown) if summarize else []
        parts.append(last)
        values = {key: float(value) for key, value in metrics.items()}
        values['data_wait'] = float(sum(part['wait'] for part in parts))
        names = [os.fsdecode(name) for part in parts for name in part['names']]
        return values, names, self._votes.sums(votes, ballot), shown


def _ballot(stop, pause):
    """What a worker wants after a step: to stop by a signal, and to save or evaluate."""
    return [*(stop == number for number in signals.STOPPING), pause]


def _stopped_by(votes):
    """The signal that the votes, or their sums, ask to stop by; None if there is none."""
    return next((number for number, vote in zip(signals.STOPPING, votes, strict=False) if vote), None)


def _gone_wrong(config, values):
    """What the metrics of a step say against going on, as text; None if nothing does."""
    if 'skipped' not in values:
        return None if math.isfinite(values['loss']) else f'the loss is {values["loss"]}'
    if values['skipped'] > config.max_skipped_steps:
        return f'{values["skipped"]:.0f} steps were skipped, --max_skipped_steps={config.max_skipped_steps}'
    return None


def _run(config, workers, session, steps, saver, reporter, request, step):
    """Takes steps; returns the number of the last one, its loss, and the signal that ended the run, or None."""
    def ballot():
        return _ballot(request.signal, saver.wanted(step))

    limit = config.max_number_of_steps or math.inf
    loss = None
    stopped_by = _stopped_by(map(any, zip(*workers.gather(ballot()), strict=True)))
    while step < limit and stopped_by is None:
        step += 1
        with _plain_errors(), workers.noticing_loss(
                f'Training stopped at step {step}', f'Start all workers again; they go on from {saver.last}.'):
            values, names, votes, shown = steps.take(session, ballot, reporter.summarizes_next)
        loss, stopped_by = values['loss'], _stopped_by(votes)
        what = _gone_wrong(config, values)
        if what:
            what = f'{what}, with the images {", ".join(names[:20])}'
            raise FloatingPointError(saving.diverged(step, what, saver.last))
        reporter.step(step, values, shown, last=step >= limit or stopped_by is not None)
        if votes[-1]:
            with reporter.paused():
                saver.save(session, step)
                saver.validate(step)
        if workers.num_workers == 1:  # nobody else has to know
            stopped_by = request.signal
    return step, loss, stopped_by
