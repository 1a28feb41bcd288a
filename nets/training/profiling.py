"""Profiles of training steps, as traces that TensorBoard and Chrome open."""

import glob
import gzip
import json
import logging
import os

import tensorflow.compat.v2 as tf2

from nets import atomic_file

logger = logging.getLogger(__name__)

_XPLANE, _TRACE = '.xplane.pb', '.trace.json.gz'


class StepProfiler:
    """Profiles some of the steps that a process takes.

    The traces lie where TensorBoard's profile plugin looks, `plugins/profile/TIME/HOST.xplane.pb`, and beside it, for
    chrome://tracing and ui.perfetto.dev, `HOST.trace.json.gz`.
    """

    def __init__(self, directory, steps):
        """Nothing is profiled yet.

        Args:
            directory: That of the event files.
            steps: First and last step, counted from 1; empty for none.
        """
        self._directory = directory
        self._first, self._last = steps or (0, 0)
        self._taken = 0
        self._trace = None

    def begin(self):
        """To be called before the first step."""
        self._next()

    def after_step(self):
        """To be called after each step."""
        self._taken += 1
        self._next()

    def end(self):
        """To be called when no step follows."""
        self._last = self._taken
        self._next()

    def _next(self):
        """Ends the trace of a step, and begins that of the next one."""
        following = self._taken + 1
        if self._trace:
            self._trace.__exit__(None, None, None)
            self._trace = None
            if following > self._last:
                self._stop()
        if self._first <= following <= self._last:
            if following == self._first:
                tf2.profiler.experimental.start(self._directory)
            # The arguments tell the plugin where a step begins and ends.
            self._trace = tf2.profiler.experimental.Trace(f'step {following}', step_num=following, _r=1)
            self._trace.__enter__()

    def _stop(self):
        tf2.profiler.experimental.stop()
        planes = glob.glob(os.path.join(glob.escape(self._directory), 'plugins', 'profile', '*', f'*{_XPLANE}'))
        if planes:
            newest = max(planes, key=os.path.getmtime)
            path = newest.removesuffix(_XPLANE) + _TRACE
            write_chrome_trace(newest, path)
            logger.info('The profile is %s.', path)


def write_chrome_trace(source, path):
    """Turns a profile into a trace in Chrome's format (the "Trace Event Format").

    Args:
        source: File of the profiler, an `XSpace` protocol buffer.
        path: File to write, compressed JSON.
    """
    # TensorFlow ships the protocol buffer without a public name.
    from tensorflow.tsl.profiler.protobuf import xplane_pb2
    space = xplane_pb2.XSpace()
    with open(source, 'rb') as file:
        space.ParseFromString(file.read())
    events = [event for number, plane in enumerate(space.planes, 1) for event in _events_of_plane(number, plane)]
    text = json.dumps({'displayTimeUnit': 'ms', 'traceEvents': events})
    with atomic_file.writing(path, 'wb') as file:
        file.write(gzip.compress(text.encode(), mtime=0))


def _events_of_plane(process, plane):
    """Chrome's events of a device, which is a process there; its lines are threads. Instants are left out."""
    yield {'ph': 'M', 'pid': process, 'name': 'process_name', 'args': {'name': plane.name}}
    for thread, line in enumerate(plane.lines, 1):
        name = line.display_name or line.name
        yield {'ph': 'M', 'pid': process, 'tid': thread, 'name': 'thread_name', 'args': {'name': name}}
        for event in line.events:
            if event.duration_ps:
                yield {'ph': 'X', 'pid': process, 'tid': thread, 'name': plane.event_metadata[event.metadata_id].name,
                       'ts': line.timestamp_ns / 1e3 + event.offset_ps / 1e6, 'dur': event.duration_ps / 1e6}
