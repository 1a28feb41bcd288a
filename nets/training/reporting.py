"""What a training run tells while it runs: a bar or lines for people, JSON lines and TensorBoard for
later; and a report when it ends."""

import contextlib
import datetime
import logging
import math
import os
import sys
import time

import tensorflow.compat.v1 as tf
from tqdm import tqdm

from nets.training import environment, files, profiling, summaries, terminal, train_report

logger = logging.getLogger(__name__)

_BAR = '{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]'
_ENDLESS_BAR = '{n_fmt} steps [{elapsed}{postfix}]'

# TensorBoard's tag of a metric; slim's where slim had one.
_TAGS = {'loss': 'total_loss', 'cross_entropy': 'losses/cross_entropy', 'images_per_sec': 'images/sec'}


class Reporter:
    """Takes every step's values and passes them on now and then; use it in a `with`.

    On a terminal a bar moves with every step. Elsewhere a line is logged every `log_every_n_steps`. At the
    same steps a record goes to `metrics.jsonl`: `step`, the metrics of `nets.training.graph` (null for one that is not
    finite), and of the time since the record before, without pauses, `images_per_sec` and `data_wait`, the share spent
    waiting for data, in [0, 1]; `time` in seconds since 1970. Steps are profiled if the configuration asks for it. At
    the end, whatever ends the run, `report.html` is written.

    Attributes:
        summarizes_next: Whether the next step's summaries are written, so that they are worth making.
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
        self._profiler = profiling.StepProfiler(config.train_dir, config.profile_steps)
        self._environment = environment.describe()
        self._bar = None
        self._speed = {'images_per_sec': math.nan, 'data_wait': math.nan}
        self._waited = 0.0
        self._begun_at = self._logged_at = self._summarized_at = clock()
        self._logged_step = start_step
        self._decide(start_step)

    def __enter__(self):
        if self._interactive:
            total = self._config.max_number_of_steps
            self._bar = tqdm(total=total, initial=self._start_step, ncols=terminal.bar_width(),
                             bar_format=_BAR if total else _ENDLESS_BAR)
        self._begun_at = self._logged_at = self._summarized_at = self._clock()
        self._profiler.begin()
        return self

    def __exit__(self, kind, error, trace):
        if self._bar is not None:
            self._bar.close()
        self._writer.close()
        try:
            self._profiler.end()
            path = train_report.write(self._config, self._environment, error)
            logger.info('The report is %s.', path)
        except OSError as reason:  # the run itself is safe
            logger.warning('There is no report: %s', reason)

    def step(self, step, values, shown=(), last=False):
        """Reports a step.

        Args:
            step: Steps taken so far.
            values: Dict of floats: the metrics, and `data_wait`, seconds that the step waited for its data.
            shown: Serialized `tf.Summary` protocol buffers, for TensorBoard.
            last: Whether no step follows, so that this one is reported in any case.
        """
        self._profiler.after_step()
        self._waited += values['data_wait']
        values = {key: value for key, value in values.items() if key != 'data_wait'}
        if step % self._config.log_every_n_steps == 0 or last:
            self._log(step, values)
        if self._bar is not None:
            self._bar.set_postfix_str(', '.join(self._texts(values)), refresh=False)
            self._bar.update(1)
        if last or self.summarizes_next:
            self._summarize(step, values, shown)
        self._decide(step)

    @contextlib.contextmanager
    def paused(self):
        """For what happens between steps: it does not count as time that the steps took."""
        begun = self._clock()
        yield
        self._logged_at += self._clock() - begun

    def _decide(self, step):
        due = self._clock() - self._summarized_at >= self._config.save_summaries_secs
        self.summarizes_next = due or step + 1 == self._config.max_number_of_steps

    def _texts(self, values):
        """The numbers that people follow."""
        speed, wait = self._speed.values()
        yield f'loss {values["loss"]:.4f}'
        if math.isfinite(speed):
            yield f'{speed:.0f} images/s' if speed >= 10 else f'{speed:.2g} images/s'
            yield f'data wait {wait:.0%}'
        yield f'rate {values["learning_rate"]:.3g}'
        if values.get('skipped'):
            yield f'{values["skipped"]:.0f} skipped'

    def _log(self, step, values):
        """A line for people, and one for machines."""
        now = self._clock()
        if step == self._logged_step:
            return
        seconds = max(now - self._logged_at, 1e-9)
        images = (step - self._logged_step) * self._config.data.batch_size
        self._speed = {'images_per_sec': images / seconds, 'data_wait': min(1.0, self._waited / seconds)}
        self._logged_at, self._logged_step, self._waited = now, step, 0.0
        files.append_json_line(self._metrics_path, {
            'step': step, **{key: value if math.isfinite(value) else None for key, value in values.items()},
            **{key: float(f'{value:.6g}') for key, value in self._speed.items()}, 'time': round(time.time(), 3)})
        if self._bar is None:
            total = self._config.max_number_of_steps
            logger.info('step %d%s  %s', step, f'/{total}' if total else '',
                        '  '.join([*self._texts(values), *self._time_left(step, now)]))

    def _time_left(self, step, now):
        """How long the rest will take at the mean speed so far, as text, if there is an end."""
        total = self._config.max_number_of_steps
        if total:
            seconds = round((now - self._begun_at) / (step - self._start_step) * (total - step))
            yield f'{datetime.timedelta(seconds=seconds)} left'

    def _summarize(self, step, values, shown):
        """Scalars for TensorBoard, and what else was made for it."""
        self._summarized_at = self._clock()
        named = {**values, **self._speed,
                 'global_step/sec': self._speed['images_per_sec'] / self._config.data.batch_size}
        self._writer.add_summary(summaries.scalars({
            _TAGS.get(key, key): value for key, value in named.items() if math.isfinite(value)}), step)
        for summary in shown:
            self._writer.add_summary(summary, step)
        self._writer.flush()
