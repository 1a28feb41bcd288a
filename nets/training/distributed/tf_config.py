"""The environment variable `TF_CONFIG`: which processes train together, and which of them this one is.

Its format is TensorFlow's, as Kubeflow's TFJob and the cloud trainers set it:

    {"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}

A `chief`, if there is one, comes before the workers. An `evaluator` takes no part in training.
"""

import collections
import dataclasses
import json
import os

VARIABLE = 'TF_CONFIG'
EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'

# What trains, in the order of the ranks; `master` is the chief's older name.
_TRAINING = ('chief', 'master', 'worker')
_TYPES = (*_TRAINING, 'ps', 'evaluator')


@dataclasses.dataclass(frozen=True)
class Place:
    """The processes that train together, and this one among them.

    Attributes:
        addresses: Tuple of `host:port`, one for each process, the chief's first; empty for a single process.
        index: This process's own number in it.
    """
    addresses: tuple[str, ...] = ()
    index: int = 0

    @property
    def num_workers(self):
        """The number of processes, at least 1."""
        return max(1, len(self.addresses))

    def clone(self, number, num_clones):
        """The place of one of several processes that take this one's place, on the following ports.

        Args:
            number: Which of them, in [0, num_clones).
            num_clones: How many take the place of each process.

        Returns:
            A `Place`.
        """
        addresses = tuple(f'{host}:{port + clone}' for host, port in map(split_address, self.addresses)
                          for clone in range(num_clones))
        return Place(addresses, self.index * num_clones + number)

    def to_json(self):
        """The value of `TF_CONFIG` that means this place."""
        return json.dumps({'cluster': {'worker': list(self.addresses)},
                           'task': {'type': 'worker', 'index': self.index}})


def read(environ=os.environ):
    """Reads the variable.

    Args:
        environ: The environment, a mapping.

    Returns:
        A `Place`; that of a single process if the variable is not set or names fewer than two processes that train.

    Raises:
        ValueError: The variable does not say what this process has to do.
    """
    text = environ.get(VARIABLE, '').strip()
    if not text:
        return Place()
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _malformed(f'it is not JSON ({error})', text) from error
    if not isinstance(config, dict):
        raise _malformed('it is no JSON object', text)
    if not config.get('cluster'):
        return Place()
    try:
        cluster = _cluster(config['cluster'])
        return _place(cluster, *_task(config.get('task'), cluster))
    except _Malformed as error:
        raise _malformed(error, text) from None


def split_address(address):
    """The host and the port, an int, of `host:port`."""
    host, _, port = address.rpartition(':')
    return host, int(port)


class _Malformed(Exception):
    """What is wrong with the variable."""


def _malformed(what, text):
    return ValueError(f'The environment variable {VARIABLE} is wrong: {what}. It must look like {EXAMPLE}; got {text}')


def _cluster(cluster):
    """Checks the lists of addresses; returns a dict with all types."""
    if not isinstance(cluster, dict) or set(cluster) - set(_TYPES):
        raise _Malformed(f'"cluster" must be an object with the keys {", ".join(_TYPES)}, of which all may be missing')
    for kind, addresses in cluster.items():
        if not isinstance(addresses, list) or not all(isinstance(one, str) for one in addresses):
            raise _Malformed(f'"{kind}" must be a list of texts "host:port"')
        for address in addresses:
            host, _, port = address.rpartition(':')
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise _Malformed(f'the address {address!r} of "{kind}" is not "host:port", with a port from 1 to 65535')
    cluster = {kind: cluster.get(kind, []) for kind in _TYPES}
    everyone = [address for kind in _TYPES for address in cluster[kind]]
    doubled = [address for address, count in collections.Counter(everyone).items() if count > 1]
    if doubled:
        raise _Malformed(f'the address {doubled[0]!r} is there twice')
    if len(cluster['chief']) + len(cluster['master']) > 1:
        raise _Malformed('there can be one chief only')
    if cluster['ps']:
        raise _Malformed('there are no parameter servers here, as every worker holds all variables: leave out "ps", '
                         'and its replicas')
    return cluster


def _task(task, cluster):
    """Checks the task; returns its type and index."""
    if not isinstance(task, dict) or not isinstance(task.get('type'), str):
        raise _Malformed('"task" must be an object with "type" and "index"')
    kind, index = task['type'], task.get('index', 0)
    if kind not in _TYPES:
        raise _Malformed(f'the type of the task must be one of {", ".join(_TYPES)}, not {kind!r}')
    # Some trainers write the index as a text.
    if isinstance(index, bool) or not str(index).isdecimal() or int(index) >= len(cluster[kind]):
        raise _Malformed(f'the index of the task must be an integer in [0, {len(cluster[kind])}), as the cluster has '
                         f'{len(cluster[kind])} of the type {kind!r}; it is {index!r}')
    return kind, int(index)


def _place(cluster, kind, index):
    """The place of a task."""
    if kind == 'evaluator':
        raise _Malformed('this process is an evaluator, and this command trains; run eval_image_classifier.py on '
                         '--train_dir there, or --eval_every in training')
    addresses = [address for one in _TRAINING for address in cluster[one]]
    if len(addresses) == 1:
        return Place()
    return Place(tuple(addresses), addresses.index(cluster[kind][index]))
