"""Makes shards in several processes at a time, which end with the process that started them.

This module is imported by these processes before anything else, and imports no TensorFlow by itself.
"""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading

_POLL_SECONDS = 0.1


def make_all(wanted, num_workers, on_progress, prepare_worker=None):
    """Makes shards.

    Args:
        wanted: list of `nets.data.shards.Shard`.
        num_workers: int; 1 for this process alone.
        on_progress: a function that is called with the number of images that are done, now and then.
        prepare_worker: a function that each of several processes calls before it imports TensorFlow; None for nothing.

    Returns:
        What `nets.data.shards.make` says of each, in the same order.

    Raises:
        OSError: If a file cannot be read or written, or a process was killed. What was made until then stays.
    """
    num_workers = min(num_workers, len(wanted))
    if num_workers > 1:
        return _in_processes(wanted, num_workers, on_progress, prepare_worker)
    from nets.data import shards
    done = 0

    def advance(count):
        nonlocal done
        done += count
        on_progress(done)

    return [shards.make(shard, advance) for shard in wanted]


def _in_processes(wanted, num_workers, on_progress, prepare_worker):
    # TensorFlow does not survive a fork.
    context = multiprocessing.get_context('spawn')
    done, stop = context.Value('q', 0), context.Event()
    executor = concurrent.futures.ProcessPoolExecutor(num_workers, context, _start, (done, stop, prepare_worker))
    try:
        futures = [executor.submit(_make, shard) for shard in wanted]
        pending = set(futures)
        while pending:
            finished, pending = concurrent.futures.wait(pending, _POLL_SECONDS, concurrent.futures.FIRST_EXCEPTION)
            on_progress(done.value)
            for future in finished:
                future.result()
        return [future.result() for future in futures]
    except concurrent.futures.process.BrokenProcessPool as error:
        raise OSError('A process that made records was killed, maybe as memory ran out. Repeat the call, with fewer '
                      'workers, to go on.') from error
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)


class _Stopped(Exception):
    """The process that started this one wants no more."""


# What `_start` got, in the processes it started in.
_given = {}


def _start(done, stop, prepare):
    """Begins a process that makes shards."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it stops when it is told to
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _given.update(done=done, stop=stop)
    if prepare:
        prepare()


def _end_with_parent():
    """Ends this process when the one that started it is gone, killed maybe, and cannot say so."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)


def _make(shard):
    from nets.data import shards

    def advance(count):
        if _given['stop'].is_set():
            raise _Stopped
        with _given['done'].get_lock():
            _given['done'].value += count

    with contextlib.suppress(_Stopped):
        return shards.make(shard, advance)
