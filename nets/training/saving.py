"""Checkpoints of a training run: when they are due, and never with a value that is not finite."""

import os
import time

import tensorflow.compat.v1 as tf

from nets.checkpoints import restore

# Checkpoints kept in the directory, as slim's script did.
_MAX_TO_KEEP = 5


class Checkpointer:
    """Writes the checkpoints of a run in TensorFlow's V2 format, all global variables included.

    Attributes:
        last: Path of the newest checkpoint that is known to be good; None before the first.
    """

    def __init__(self, train_dir, interval_secs, clock=time.monotonic):
        """Adds what saving needs to the current graph; call it when all variables exist.

        Args:
            train_dir: Directory of the checkpoints.
            interval_secs: Seconds between two checkpoints.
            clock: Function that gives seconds.
        """
        self.last = None
        self._last_step = None
        self._interval_secs = interval_secs
        self._clock = clock
        self._saved_at = clock()
        self._prefix = os.path.join(train_dir, 'model.ckpt')
        # Relative paths keep a directory usable when it is moved.
        variables = tf.global_variables()
        self._saver = tf.train.Saver(variables, max_to_keep=_MAX_TO_KEEP, save_relative_paths=True)
        self._checked = [one for one in variables if one.dtype.base_dtype.is_floating]
        self._finite = tf.stack([tf.reduce_all(tf.math.is_finite(one)) for one in self._checked])

    def resume_from(self, path, step):
        """Notes a checkpoint that has been restored.

        Args:
            path: Its prefix.
            step: Its step.
        """
        self.last, self._last_step = path, step
        state = tf.train.get_checkpoint_state(os.path.dirname(self._prefix))
        if state:
            self._saver.recover_last_checkpoints(state.all_model_checkpoint_paths)

    def due(self):
        """Whether the interval has gone by since the last checkpoint."""
        return self._clock() - self._saved_at >= self._interval_secs

    def save(self, session, step):
        """Writes a checkpoint, unless one of this step is there already.

        Args:
            session: The session.
            step: Steps taken so far.

        Returns:
            The path.

        Raises:
            FloatingPointError: A variable is not finite; nothing is written.
            ValueError: It cannot be written.
        """
        if step == self._last_step:
            return self.last
        finite = session.run(self._finite)
        if not finite.all():
            names = [one.op.name for one, good in zip(self._checked, finite, strict=True) if not good]
            what = f'{len(names)} variables are not finite ({names[0]}, …)'
            raise FloatingPointError(diverged(step, what, self.last))
        try:
            self.last = self._saver.save(session, self._prefix, global_step=step, write_meta_graph=False)
        except (tf.errors.OpError, OSError, ValueError) as error:
            reason = restore.first_telling_line(getattr(error, 'message', error), type(error).__name__)
            raise ValueError(f'The checkpoint of step {step} cannot be written to {self._prefix}-{step}: '
                             f'{reason}. The last good one is {self.last}.') from error
        self._last_step, self._saved_at = step, self._clock()
        return self.last


def diverged(step, what, last):
    """The message for a run whose numbers are no numbers any more.

    Args:
        step: The step at which it showed.
        what: What is not finite.
        last: Path of the last good checkpoint, or None.

    Returns:
        A text.
    """
    return (f'Training stopped at step {step}: {what}. The last good checkpoint is {last}. Lower '
            '--learning_rate, or add --warmup_epochs, and run again; it goes on from that checkpoint.')


def newest_checkpoint(train_dir):
    """Finds what to resume.

    Args:
        train_dir: The directory of a run, new or not.

    Returns:
        The prefix of the newest checkpoint and its step; None and 0 where nothing has been trained yet. A
        checkpoint of step 0 holds nothing but the start of a run, and the next one may start otherwise.

    Raises:
        ValueError: The newest checkpoint is gone, damaged, or not of a training run.
    """
    if not tf.train.get_checkpoint_state(train_dir):
        return None, 0
    path = restore.find_checkpoint(train_dir)
    step = restore.read_step(path)
    if step is None:
        raise ValueError(f'The checkpoint {path} has no global_step, so it is not of a training run. Give it '
                         'as --checkpoint_path, and another --train_dir.')
    return (path, step) if step else (None, 0)
