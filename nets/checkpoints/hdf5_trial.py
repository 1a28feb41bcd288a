"""Reads a file in another process first, as some damage crashes the HDF5 library or lets it go round for ever.

Bits flipped at random in `.weights.h5` ended one process in some thirty thousand; see `nets.checkpoints.hdf5_heaps` for
what is more frequent.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys

# Of the processor, not of the clock: a busy machine or a slow disk does not count.
CPU_SECONDS = 10
_BYTES_PER_CPU_SECOND = 2e7
_CODE = ('import json, sys; sys.path[:] = json.loads(sys.argv[1]); from nets.checkpoints import hdf5_trial; '
         'hdf5_trial.run(sys.argv[2], float(sys.argv[3]))')


def check(path):
    """Reads a file of Keras in a process of its own.

    Args:
        path: The file.

    Raises:
        ValueError: The process crashed or did not come to its end. A file that is damaged otherwise passes, as reading
            it tells what is wrong.
    """
    if not sys.executable:  # within another program
        return
    seconds = CPU_SECONDS + os.path.getsize(path) / _BYTES_PER_CPU_SECOND
    ended = subprocess.run([sys.executable, '-c', _CODE, json.dumps(sys.path), path, str(seconds)],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if ended.returncode < 0:
        raise ValueError(f'The file {path} cannot be read; it is damaged such that the HDF5 library crashes or goes '
                         f'on for ever ({signal.Signals(-ended.returncode).name}). Copy it again or use another one.')


def run(path, seconds):
    """What that process does.

    Args:
        path: The file.
        seconds: Time of the processor after which the system ends the process, where it can.
    """
    from nets.checkpoints.readers import keras
    with contextlib.suppress(ImportError):  # Windows
        import resource
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = math.ceil(used.ru_utime + used.ru_stime + seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError):
        keras.read(path)
