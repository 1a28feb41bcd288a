"""Several processes of the same command on this machine, as one: their output, signals and exit codes.

Each has a place of its own in `TF_CONFIG`, and a GPU of its own where there are any. TensorFlow is not imported here.
"""

import contextlib
import ctypes
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from nets import cores
from nets.training.distributed import tf_config

# The exit code of a worker that lost another one. From 128 on, Kubeflow starts a replica again (restartPolicy
# ExitCode); 138 is what it leaves to programs.
LOST_WORKER_EXIT_CODE = 138

# Seconds for the others to say what they know when one has failed, and then to end.
_SETTLE_SECS, _GRACE_SECS = 3, 10
_STOPPING = (signal.SIGINT, signal.SIGTERM)
# A worker that was asked to stop saves and exits so; that is no failure.
_STOPPED = tuple(128 + number for number in _STOPPING)
_PR_SET_PDEATHSIG = 1


def launch(command, num_clones, use_gpus=True):
    """Runs copies of a command that train together, until all have ended.

    The first copy has this process's own output; the lines of the others begin with `[worker i]`, and go to the error
    stream. SIGINT and SIGTERM are passed on. When a copy fails, the others are ended: asked after 3 seconds, killed
    after 10 more. On Linux they are killed when this process dies, however that happens.

    Args:
        command: List of str.
        num_clones: How many copies. If `TF_CONFIG` names several machines, so many on each: they use the port that it
            gives to the machine, and the next ones.
        use_gpus: Whether to give each copy a GPU, if there are any.

    Returns:
        The exit code: 0 if all have succeeded; that of the first copy that failed by itself, 128 + N if signal N killed
        it; otherwise that of the copies that were stopped.

    Raises:
        ValueError: `TF_CONFIG` is wrong, or there are fewer GPUs than copies.
    """
    shares = _shares(num_clones, use_gpus)
    place = tf_config.read()
    if place.addresses:
        places = [place.clone(number, num_clones) for number in range(num_clones)]
    else:
        everyone = tuple(f'127.0.0.1:{port}' for port in free_ports(num_clones))
        places = [tf_config.Place(everyone, number) for number in range(num_clones)]
    environments = [dict(os.environ, **share, **{tf_config.VARIABLE: place.to_json()})
                    for place, share in zip(places, shares, strict=True)]
    return _Clones(command, environments, [f'[worker {place.index}] ' for place in places]).run()


def visible_gpus():
    """The names of this machine's GPUs, as `CUDA_VISIBLE_DEVICES` has them, a list of str."""
    chosen = os.environ.get('CUDA_VISIBLE_DEVICES')
    if chosen is not None:
        names = [name.strip() for name in chosen.split(',')]
        return [] if names[0] in ('', '-1') else names
    if not shutil.which('nvidia-smi'):
        return []
    listed = subprocess.run(['nvidia-smi', '--query-gpu=index', '--format=csv,noheader'], capture_output=True,
                            text=True, check=False)
    return listed.stdout.split() if listed.returncode == 0 else []


def _shares(num_clones, use_gpus):
    """What each copy has of the machine, as a list of dicts of environment variables."""
    gpus = visible_gpus() if use_gpus else []
    if gpus:
        if len(gpus) < num_clones:
            raise ValueError(f'--num_clones={num_clones} needs as many GPUs, and there are {len(gpus)}. Lower it, or '
                             'use the CPU (--clone_on_cpu).')
        return [{'CUDA_VISIBLE_DEVICES': gpu} for gpu in gpus[:num_clones]]
    threads = str(max(1, cores.count() // num_clones))
    return [{'TF_NUM_INTRAOP_THREADS': os.environ.get('TF_NUM_INTRAOP_THREADS', threads)}] * num_clones


def free_ports(count):
    """Ports of this machine that are not in use, a list of so many ints."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(('127.0.0.1', 0))
        return [one.getsockname()[1] for one in sockets]


class _Clones:
    """The processes."""

    def __init__(self, command, environments, labels):
        self._command = command
        self._environments = environments
        self._labels = labels
        self._processes = []
        self._signals = []
        self._ended = queue.SimpleQueue()

    def run(self):
        """Starts them and waits for all; returns the exit code."""
        previous = {number: signal.signal(number, self._pass_on) for number in _STOPPING}
        try:
            self._start()
            readers = [_start_thread(_forward, process.stdout, label)
                       for process, label in list(zip(self._processes, self._labels, strict=True))[1:]]
            for process in self._processes:
                _start_thread(self._watch, process)
            codes = self._codes()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._send(signal.SIGKILL)
        for reader in readers:
            reader.join(_SETTLE_SECS)
        failures = [code for code in codes if code and code not in _STOPPED]
        own = [code for code in failures if code != LOST_WORKER_EXIT_CODE]
        return next(iter(own + failures + [code for code in codes if code]), 0)

    def _start(self):
        prepare = _dying_with(os.getpid())
        for number, environment in enumerate(self._environments):
            piped = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT} if number else {}
            # In a session of its own, a copy hears of Ctrl-C through this process only, once.
            self._processes.append(subprocess.Popen(
                self._command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=prepare,
                **piped))
        for number in self._signals:
            self._send(number)

    def _codes(self):
        """The exit codes, in the order in which the copies end; a failure ends all."""
        codes, orders = [], None
        while len(codes) < len(self._processes):
            try:
                code = self._ended.get(timeout=max(0, orders[0][0] - time.monotonic()) if orders else None)
            except queue.Empty:
                self._send(orders.pop(0)[1])
                continue
            codes.append(code if code >= 0 else 128 - code)
            if orders is None and codes[-1] and codes[-1] not in _STOPPED:
                now = time.monotonic()
                orders = [(now + _SETTLE_SECS, signal.SIGTERM), (now + _SETTLE_SECS + _GRACE_SECS, signal.SIGKILL)]
        return codes

    def _watch(self, process):
        self._ended.put(process.wait())

    def _pass_on(self, number, frame):
        del frame
        self._signals.append(number)
        self._send(number)

    def _send(self, number):
        for process in self._processes:
            process.send_signal(number)  # nothing happens if it has ended


def _start_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def _forward(pipe, label):
    """Passes lines on to the error stream."""
    for line in pipe:
        print(label + line.decode(errors='replace').rstrip(), file=sys.stderr, flush=True)


def _dying_with(parent):
    """A function that lets the process in which it runs be killed when its parent dies; None where there is no such
    thing."""
    if sys.platform != 'linux':
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare():
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            signal.raise_signal(signal.SIGKILL)

    return prepare
