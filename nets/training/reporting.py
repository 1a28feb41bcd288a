"""What a training run tells while it runs: a bar or lines for people, JSON lines and TensorBoard for
later."""

import logging
import os
import sys
import time

import tensorflow.compat.v1 as tf
from tqdm import tqdm

from nets.training import files

logger = logging.getLogger(__name__)

_BAR = '{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]'
_ENDLESS_BAR = '{desc} {n_fmt} steps [{elapsed}{postfix}]'


class Reporter:
    """Takes every step's values and passes them on now and then; use it in a `with`.

    On a terminal a bar moves with every step. Elsewhere a line is logged every `log_every_n_steps`. At the
    same steps a record goes to `metrics.jsonl`: `step`, `loss` (the total), `cross_entropy`, `learning_rate`,
    `images_per_sec`, `time` (seconds since 1970).
    """

    def __init__(self, config, start_step, graph=None, interactive=None, clock=time.monotonic):
        """Opens the files.

        Args:
            config: The `TrainConfig`.
            start_step: Steps taken before this run; later records of an earlier run are dropped.
            graph: A `tf.Graph` for TensorBoard.
            interactive: Whether to draw a bar; None: if the error stream is a terminal.
            clock: Function that gives seconds.
        """
        self._config = config
        self._start_step = start_step
        self._clock = clock
        self._interactive = sys.stderr.isatty() if interactive is None else interactive
        self._metrics_path = os.path.join(config.train_dir, files.METRICS_NAME)
        files.rewind_json_lines(self._metrics_path, start_step)
        self._writer = tf.summary.FileWriter(config.train_dir, graph)
        if start_step:
            # TensorBoard forgets what an earlier run wrote after this step.
            self._writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), start_step + 1)
        self._bar = None
        self._images_per_sec = float('nan')
        self._begun_at = self._logged_at = self._summarized_at = clock()
        self._logged_step = start_step

    def __enter__(self):
        if self._interactive:
            total = self._config.max_number_of_steps
            self._bar = tqdm(total=total, initial=self._start_step, desc='training', ncols=bar_width(),
                             bar_format=_BAR if total else _ENDLESS_BAR)
        self._begun_at = self._logged_at = self._summarized_at = self._clock()
        return self

    def __exit__(self, *unused):
        if self._bar is not None:
            self._bar.close()
        self._writer.close()

    def step(self, step, values, last=False):
        """Reports a step.

        Args:
            step: Steps taken so far.
            values: Dict of floats: `loss`, `cross_entropy`, `learning_rate`.
            last: Whether no step follows, so that this one is reported in any case.
        """
        if step % self._config.log_every_n_steps == 0 or last:
            self._log(step, values)
        if self._bar is not None:
            state = f'{self._images_per_sec:.0f} images/s, loss {values["loss"]:.4f}'
            self._bar.set_postfix_str(state, refresh=False)
            self._bar.update(1)
        if last or self._clock() - self._summarized_at >= self._config.save_summaries_secs:
            self._summarize(step, values)

    def _log(self, step, values):
        """A line for people, and one for machines."""
        now = self._clock()
        if step == self._logged_step:
            return
        images = (step - self._logged_step) * self._config.data.batch_size
        self._images_per_sec = images / max(now - self._logged_at, 1e-9)
        self._logged_at, self._logged_step = now, step
        files.append_json_line(self._metrics_path, dict(
            step=step, **values, images_per_sec=round(self._images_per_sec, 2), time=round(time.time(), 3)))
        if self._bar is None:
            total = self._config.max_number_of_steps
            logger.info('step %d%s  loss %.4f  rate %.3g  %.0f images/s%s', step,
                        f'/{total}' if total else '', values['loss'], values['learning_rate'],
                        self._images_per_sec, self._time_left(step, now))

    def _time_left(self, step, now):
        """How long the rest will take at the mean speed so far, as text."""
        total = self._config.max_number_of_steps
        if not total:
            return ''
        seconds = round((now - self._begun_at) / (step - self._start_step) * (total - step))
        return f'  {seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d} left'

    def _summarize(self, step, values):
        """Scalars for TensorBoard, under slim's names where slim had one."""
        self._summarized_at = self._clock()
        tags = {'total_loss': values['loss'], 'losses/cross_entropy': values['cross_entropy'],
                'learning_rate': values['learning_rate'], 'images/sec': self._images_per_sec,
                'global_step/sec': self._images_per_sec / self._config.data.batch_size}
        self._writer.add_summary(scalars({tag: value for tag, value in tags.items() if value == value}), step)
        self._writer.flush()


def bar_width():
    """The width of the terminal in characters; 80 where it does not tell."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def scalars(values):
    """Makes a TensorBoard summary.

    Args:
        values: Dict from tag to float.

    Returns:
        A `tf.Summary`.
    """
    return tf.Summary(value=[tf.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
