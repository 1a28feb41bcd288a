"""The processes that train together, as one of them sees them: a server of TensorFlow's, sessions on it, and what all
have to agree on.

Every process builds the same graph and runs it in a session on its own server. The graphs meet in collective operations
only, which TensorFlow matches by number. So all processes have to make the same collectives, in the same order, and run
the same number of steps that have any.
"""

import contextlib
import itertools
import json
import logging
import os
import re
import socket
import time

import numpy as np
import tensorflow.compat.v1 as tf

from nets.training.distributed import tf_config
from nets.training.distributed.launcher import LOST_WORKER_EXIT_CODE

logger = logging.getLogger(__name__)

# The chief comes first, and all that train have one job name, whatever TF_CONFIG calls them.
_JOB = 'worker'
# Seconds that a process waits for the others: to start, and for what only the chief does, such as an evaluation.
_START_SECS, _PAUSE_SECS = 600, 3600
_TELL_SECS, _POLL_SECS = 3, 0.2
# Bytes that are told at a time.
_ROW = 4096
# gRPC's own variable, in small letters.
_NO_PROXY = 'no_grpc_proxy'
# Collectives between CPUs and between accelerators belong to different groups.
_CPU_GROUP, _ACCELERATOR_GROUP = 1, 2


class LostWorkerError(ConnectionError):
    """Another process of the cluster ended or fell silent, so this one cannot go on.

    Attributes:
        exit_code: That of a program which this error ends.
    """
    exit_code = LOST_WORKER_EXIT_CODE


class Cluster:
    """The processes that train together; a single one costs nothing.

    Attributes:
        num_workers: How many there are, at least 1.
        index: The number of this one, in [0, num_workers).
        is_chief: Whether it is the one that writes.
        target: What a session is opened on; '' for a single process.
    """

    def __init__(self, place=None, timeout_secs=300):
        """Nothing starts yet; see `joined`.

        Args:
            place: A `tf_config.Place`; None for a single process.
            timeout_secs: Seconds after which a worker that does not come to a collective ends the run.
        """
        self._place = place or tf_config.Place()
        self._timeout_secs = float(timeout_secs)
        self._keys = itertools.count(1)
        self._server = None
        self._talk = None
        self._accelerated = False
        self.num_workers = self._place.num_workers
        self.index = self._place.index
        self.is_chief = self.index == 0
        self.target = ''

    @contextlib.contextmanager
    def joined(self, config):
        """Starts this process's server, waits for the others, and at the end for all to come to it.

        Args:
            config: The `tf.ConfigProto` of the devices.

        Yields:
            The cluster.

        Raises:
            ValueError: The port of this process is in use.
            LostWorkerError: The others did not come in time.
        """
        if self.num_workers == 1:
            yield self
            return
        self._start(config)
        try:
            yield self
            self.gather(None)
            # Nobody leaves before all have heard the last of it; that they are gone already is no loss then.
            with contextlib.suppress(LostWorkerError):
                self.gather(None)
        finally:
            self._talk[0].close()

    def session_config(self, config):
        """The configuration of sessions on `target`, as a copy of the one given."""
        result = tf.ConfigProto()
        result.CopyFrom(config)
        if self.num_workers > 1:
            result.experimental.collective_group_leader = f'/job:{_JOB}/replica:0/task:0'
            result.experimental.collective_nccl = True
            # Without it a session waits for all servers when it starts, and again when it closes.
            result.device_filters[:] = [f'/job:{_JOB}/task:{self.index}']
            if not self._accelerated:
                # It fuses convolutions in bfloat16 to what oneDNN has, and a server does not take from a session.
                result.graph_options.rewrite_options.remapping = result.graph_options.rewrite_options.OFF
        return result

    def run_options(self, patient=False):
        """The options of a session's run that has collectives; they end it when another worker falls silent.

        The operations have a timeout of their own, but each of them then keeps a thread asleep for so long, in every
        step.

        Args:
            patient: Whether to wait for what only the chief does, or for what is slow the first time.

        Returns:
            A `tf.RunOptions`; None for a single process.
        """
        if self.num_workers == 1:
            return None
        return tf.RunOptions(timeout_in_ms=round(1000 * max(self._timeout_secs, patient and _PAUSE_SECS)))

    def collective(self, op, accelerated=False, **arguments):
        """Adds a collective operation to the current graph.

        Args:
            op: One of `tf.raw_ops`.
            accelerated: Whether to run it on the accelerator, if the processes have one each.
            **arguments: The operation's own.

        Returns:
            What the operation returns.
        """
        accelerated = accelerated and self._accelerated
        with tf.device('/device:GPU:0' if accelerated else '/device:CPU:0'):
            return op(group_size=self.num_workers, group_key=_ACCELERATOR_GROUP if accelerated else _CPU_GROUP,
                      instance_key=next(self._keys), communication_hint='auto', **arguments)

    def gather(self, value):
        """Tells a value to all processes, and waits for theirs; all have to call it.

        Args:
            value: What JSON can hold.

        Returns:
            List of the values of all processes, the chief's first.

        Raises:
            LostWorkerError: Another process is gone, or did not come.
        """
        if self.num_workers == 1:
            return [value]
        session, row, rows = self._talk
        rest = json.dumps(value).encode()
        texts = [b''] * self.num_workers
        while True:
            head, rest = rest[:_ROW], rest[_ROW:]
            numbers = np.zeros([1, _ROW + 2], np.int32)
            numbers[0, :2 + len(head)] = [bool(rest), len(head), *head]
            with self.noticing_loss('They could not agree'):
                told = session.run(rows, {row: numbers}, self.run_options(patient=True))
            texts = [text + bytes(one[2:2 + one[1]].tolist()) for text, one in zip(texts, told, strict=True)]
            if not told[:, 0].any():
                return [json.loads(text) for text in texts]

    def by_chief(self, function):
        """Lets the chief do something while the others wait; all have to call it.

        Args:
            function: Function without arguments that returns what JSON can hold.

        Returns:
            What it returned; tuples may be lists then.
        """
        return self.gather(function() if self.is_chief else None)[0]

    def require_equal(self, values):
        """Makes sure that all processes were told the same; all have to call it.

        Args:
            values: Dict from names to what JSON can hold; may have dicts in it.

        Raises:
            ValueError: A worker differs from the chief; the message says in what.
        """
        chief, *others = self.gather(dict(_leaves(values)))
        for index, other in enumerate(others, 1):
            wrong = [f'{name} ({other.get(name)!r}, not {value!r})' for name, value in chief.items()
                     if other.get(name) != value]
            if wrong:
                raise ValueError(f'Worker {index} differs from the chief in {", ".join(wrong)}. Start all workers '
                                 'with the same command, on the same data.')

    @contextlib.contextmanager
    def noticing_loss(self, what, advice='Start all workers again; they go on from the newest checkpoint.'):
        """Turns the errors that the end of another process causes into a `LostWorkerError`.

        Args:
            what: A text, what did not succeed.
            advice: A text, what to do.
        """
        try:
            yield
        except tf.errors.OpError as error:
            reason = self._reason_of_loss(error)
            if reason is None:
                raise
            raise LostWorkerError(f'{what}: {reason}. Its own log may say why. {advice}') from error

    def _reason_of_loss(self, error):
        """Which worker is lost, by an error; None if it is about something else."""
        message = error.message.partition('Recent warning and error logs')[0]
        if self.num_workers == 1:
            return None
        if isinstance(error, tf.errors.DeadlineExceededError) and 'Operation timed out' in message:
            return 'another worker fell silent, or takes too long'
        if not re.search('[Cc]ollective ops (is|already) aborted', message):
            return None
        # The first one named is where the error comes from; others passed it on.
        found = re.search(f'remote target /job:{_JOB}/replica:0/task:([0-9]+)', message)
        return f'{self._name(int(found.group(1)))} is gone' if found else 'another worker is gone'

    def _name(self, index):
        return f'worker {index} ({self._place.addresses[index]})'

    def _start(self, config):
        """Starts the server and meets the others."""
        _reach_without_proxy(tf_config.split_address(address)[0] for address in self._place.addresses)
        self._accelerated = bool(config.device_count.get('GPU', 1) and tf.config.list_physical_devices('GPU'))
        config = self.session_config(config)
        try:
            self._server = tf.distribute.Server({_JOB: list(self._place.addresses)}, job_name=_JOB,
                                                task_index=self.index, config=config)
        except tf.errors.OpError as error:
            raise ValueError(f'{tf_config.VARIABLE} says that this is {self._name(self.index)}, and no server can be '
                             f'started on that port: {error.message}. Is it in use, by a run that still goes on?'
                             ) from error
        self.target = self._server.target
        self._wait_for_servers()
        self._talk = self._open_talk(config)
        self.require_equal({'use of accelerators': self._accelerated})
        logger.info('%d workers train together; this is number %d.', self.num_workers, self.index)

    def _wait_for_servers(self):
        """Returns when all others answer; a collective that finds no one there would wait much longer."""
        missing = set(range(self.num_workers)) - {self.index}
        begun = time.monotonic()
        tell_at = begun + _TELL_SECS
        while True:
            missing = {one for one in missing if not _answers(*tf_config.split_address(self._place.addresses[one]))}
            if not missing:
                return
            names = ', '.join(map(self._name, sorted(missing)))
            if time.monotonic() - begun > _START_SECS:
                raise LostWorkerError(f'{names} did not start within {_START_SECS} seconds. Start the same command '
                                      f'there, with {tf_config.VARIABLE} of the same addresses and its own index.')
            if time.monotonic() > tell_at:
                logger.info('Waiting for %s.', names)
                tell_at += 10 * _TELL_SECS
            time.sleep(_POLL_SECS)

    def _open_talk(self, config):
        """A session for `gather`, its placeholder and its result."""
        with tf.Graph().as_default() as graph:
            row = tf.placeholder(tf.int32, [1, _ROW + 2])
            rows = self.collective(tf.raw_ops.CollectiveGatherV2, input=row, ordering_token=[])
        return tf.Session(self.target, graph=graph, config=config), row, rows


def _answers(host, port):
    """Whether something listens there."""
    try:
        with socket.create_connection((host.strip('[]'), port), timeout=5):
            return True
    except OSError:
        return False


def _reach_without_proxy(hosts):
    """gRPC would send what is for the other workers to the proxy of `http_proxy`."""
    known = [os.environ[name] for name in (_NO_PROXY, 'no_proxy') if os.environ.get(name)][:1]
    os.environ[_NO_PROXY] = ','.join([*known, *sorted(set(hosts))])


def _leaves(values):
    """Names, with dots, and values of what is in nested dicts."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f'{name}.{inner}', leaf) for inner, leaf in _leaves(value))
        else:
            yield name, value
