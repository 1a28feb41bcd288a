"""Ctrl-C and the polite kill, turned into the wish to stop after the step at hand."""

import contextlib
import os
import signal
import socket
import threading
import time

STOPPING = (signal.SIGINT, signal.SIGTERM)
# Programs that start others pass on what these have got already.
_APART_SECS = 0.5


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

    The first signal is noted. A second one ends the process at once, with the shell's exit code, even within a step
    that does not come to its end. Outside of the main thread Python allows no handlers, and nothing is caught.

    Yields:
        A `StopRequest`.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number, frame):
        del frame
        request.signal = request.signal or signal.Signals(number)

    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    threading.Thread(target=_end_at_the_second, args=[receiver], daemon=True).start()
    previous_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    previous = {number: signal.signal(number, note) for number in STOPPING}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_fd)
        sender.close()


def _end_at_the_second(receiver):
    """Follows the numbers of signals as they come in; Python runs handlers only between steps."""
    first = None
    with receiver:
        while number := receiver.recv(1):
            if number[0] in STOPPING:
                now = time.monotonic()
                first = first or now
                if now - first > _APART_SECS:
                    os._exit(128 + number[0])
