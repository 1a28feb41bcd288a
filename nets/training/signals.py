"""Ctrl-C and the polite kill, turned into the wish to stop after the step at hand."""

import contextlib
import signal
import threading

STOPPING = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether, and by which signal, the run was asked to stop.

    Attributes:
        signal: A `signal.Signals`, or None.
    """

    def __init__(self):
        self.signal = None


@contextlib.contextmanager
def stop_request():
    """Catches SIGINT and SIGTERM.

    The first signal is noted; a second one acts as it would have without this, so that a run that does not
    come to the end of its step can still be ended. Outside of the main thread Python allows no handlers, and
    nothing is caught.

    Yields:
        A `StopRequest`.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in STOPPING}

    def restore():
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(number, frame):
        del frame
        request.signal = signal.Signals(number)
        restore()

    for number in STOPPING:
        signal.signal(number, note)
    try:
        yield request
    finally:
        restore()
