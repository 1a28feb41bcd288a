"""Checkpoints of a training run: whole and verified, or not there; and never with a value that is not finite."""

import collections
import glob
import logging
import os
import re
import shutil
import time

import tensorflow.compat.v1 as tf

from nets import atomic_file, error_text
from nets.checkpoints import tensorflow_files

logger = logging.getLogger(__name__)

# Checkpoints kept in the directory, as slim's script did.
_MAX_TO_KEEP = 5
_NAME = 'model.ckpt'
_ASIDE = '.saving'

# path: its prefix. step: an int. reader: a `tf.train.NewCheckpointReader` on it.
Found = collections.namedtuple('Found', ('path', 'step', 'reader'))


class Checkpointer:
    """Writes the checkpoints of a run in TensorFlow's V2 format, all global variables included.

    A checkpoint is written aside, read again, and then renamed: a run that is killed, or a disk that is full, leaves
    the older ones as they were.

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
        self._train_dir = train_dir
        variables = tf.global_variables()
        self._saver = tf.train.Saver(variables, max_to_keep=0)
        self._checked = [one for one in variables if one.dtype.base_dtype.is_floating]
        self._finite = tf.stack([tf.reduce_all(tf.math.is_finite(one)) for one in self._checked])

    def resume_from(self, path, step):
        """Notes a checkpoint that has been restored.

        Args:
            path: Its prefix.
            step: Its step.
        """
        self.last, self._last_step = path, step

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
        prefix = os.path.join(self._train_dir, f'{_NAME}-{step}')
        try:
            self._write(session, prefix)
        except (tf.errors.OpError, OSError, ValueError) as error:
            reason = error_text.first_telling_line(getattr(error, 'message', error), type(error).__name__)
            raise ValueError(f'The checkpoint of step {step} cannot be written to {prefix}: {reason}. The last good '
                             f'one is {self.last}.') from error
        self.last, self._last_step, self._saved_at = prefix, step, self._clock()
        return prefix

    def _write(self, session, prefix):
        aside = os.path.join(self._train_dir, _ASIDE)
        shutil.rmtree(aside, ignore_errors=True)
        os.makedirs(aside)
        try:
            self._saver.save(session, os.path.join(aside, os.path.basename(prefix)), write_meta_graph=False,
                             write_state=False)
            verify(os.path.join(aside, os.path.basename(prefix)))
            _remove(prefix)
            # The index comes last: without it there is no checkpoint.
            for name in sorted(os.listdir(aside)):
                _sync(os.path.join(aside, name))
                if name.startswith(_NAME):
                    os.replace(os.path.join(aside, name), os.path.join(self._train_dir, name))
            _sync(self._train_dir)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        step, own = _step_of(prefix), _own_prefixes(self._train_dir)
        kept = [path for path in own if _step_of(path) <= step][-_MAX_TO_KEEP:]
        # TensorFlow's own file, with relative paths, which keep a directory usable when it is moved.
        with atomic_file.writing(os.path.join(self._train_dir, 'checkpoint')) as file:
            file.write(f'model_checkpoint_path: "{os.path.basename(prefix)}"\n')
            file.writelines(f'all_model_checkpoint_paths: "{os.path.basename(path)}"\n' for path in kept)
        # Older ones; those of later steps, from a run that this one has gone back behind; parts, from a kill.
        for path in glob.glob(os.path.join(glob.escape(self._train_dir), f'{_NAME}-*')):
            found = tensorflow_files.prefix_of(path)
            if found not in kept and _step_of(found) >= 0:
                _remove(found)


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
            '--learning_rate, add --warmup_epochs, or leave such steps out with --nan_policy=skip, and run again; it '
            'goes on from that checkpoint.')


def newest_checkpoint(train_dir):
    """Finds what to resume.

    Args:
        train_dir: The directory of a run, new or not.

    Returns:
        The newest checkpoint that can be read, a `Found`; None where nothing has been trained yet. A checkpoint of
        step 0 holds nothing but the start of a run, and the next one may start otherwise.

    Raises:
        ValueError: All checkpoints are damaged, or the newest is not of a training run.
    """
    damaged = []
    for path in reversed(_prefixes(train_dir)):
        try:
            reader = verify(path)
        except ValueError as error:
            damaged.append(str(error))
            logger.warning('%s', error)
            continue
        if not reader.has_tensor('global_step'):
            raise ValueError(f'The checkpoint {path} has no global_step, so it is not of a training run. Give it '
                             'as --checkpoint_path, and another --train_dir.')
        step = int(reader.get_tensor('global_step'))
        return Found(path, step, reader) if step else None
    if damaged:
        raise ValueError(f'No checkpoint in --train_dir={train_dir} can be read. {damaged[0]} Remove them to begin '
                         'anew, or name another directory.')
    return None


def verify(path):
    """Reads all of a checkpoint, which compares its checksums.

    Args:
        path: Its prefix.

    Returns:
        A `tf.train.NewCheckpointReader` on it.

    Raises:
        ValueError: It is damaged or incomplete.
    """
    reader = tensorflow_files.open_reader(path)
    for name in reader.get_variable_to_shape_map():
        tensorflow_files.read_tensor(reader, path, name)
    return reader


def _prefixes(train_dir):
    """The checkpoints in a directory, the newest last: those that its `checkpoint` file lists, and all of a run's."""
    state = tf.train.get_checkpoint_state(train_dir)
    listed = list(state.all_model_checkpoint_paths) if state else []
    return sorted({*listed, *_own_prefixes(train_dir)}, key=_step_of)


def _own_prefixes(train_dir):
    """The checkpoints in a directory that have the names of a run's, the newest last."""
    pattern = os.path.join(glob.escape(train_dir), f'{_NAME}-*.index')
    found = [path[:-len('.index')] for path in glob.glob(pattern)]
    return sorted([path for path in found if _step_of(path) >= 0], key=_step_of)


def _step_of(path):
    match = re.search(r'-(\d+)$', path)
    return int(match.group(1)) if match else -1


def _remove(prefix):
    """Removes a checkpoint: first the index, without which there is none."""
    for path in [prefix + '.index', *glob.glob(glob.escape(prefix) + '.data-*'), prefix + '.meta']:
        if os.path.exists(path):
            os.remove(path)


def _sync(path):
    """Makes sure that a file or a directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
