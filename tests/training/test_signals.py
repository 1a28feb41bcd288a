"""Signals: the first is noted, the second ends the process whatever it does; each process here is a real one."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from nets.training import signals

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# It hangs in C code, like a step that waits for another machine: there Python runs no handlers.
HANGING = '''
import ctypes
from nets.training import signals
with signals.stop_request():
    print('begun', flush=True)
    mutex = ctypes.create_string_buffer(256)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
'''


@pytest.mark.skipif(sys.platform != 'linux', reason='a mutex of zeros is one of Linux')
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_second_signal_ends_a_process_that_hangs(number):
    with subprocess.Popen([sys.executable, '-c', HANGING], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout.readline() == b'begun\n'
        process.send_signal(number)
        time.sleep(1)
        assert process.poll() is None
        # What comes right after the first has been passed on by somebody; how much is right after depends on the load.
        for _ in range(60):
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
        assert process.returncode == 128 + number


def test_first_signal_is_noted_and_all_is_put_back():
    before = [signal.getsignal(number) for number in signals.STOPPING]
    with signals.stop_request() as request:
        assert request.signal is None
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signal == signal.SIGTERM
    assert [signal.getsignal(number) for number in signals.STOPPING] == before
    assert signal.set_wakeup_fd(-1) == -1
