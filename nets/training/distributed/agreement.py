"""What all workers have to decide alike after a step, by a sum that is computed within the step."""

import tensorflow.compat.v1 as tf

from nets.training.distributed import all_reduce


class Votes:
    """Numbers of each worker, and their sums over all.

    Several workers give theirs before a step, and have the sums when it is done. One alone counts when it is done.

    Attributes:
        fetch: What the step has to fetch.
    """

    def __init__(self, cluster, size):
        """Adds the sums to the current graph.

        Args:
            cluster: A `nets.training.distributed.cluster.Cluster`.
            size: How many numbers there are.
        """
        self._given = tf.placeholder(tf.float32, [size]) if cluster.num_workers > 1 else None
        self.fetch = [] if self._given is None else [all_reduce.total(cluster, self._given)]

    def feed(self, ballot):
        """The `feed_dict` of the step.

        Args:
            ballot: Function that returns the list of this worker's numbers.
        """
        return {} if self._given is None else {self._given: ballot()}

    def sums(self, fetched, ballot):
        """The list of the sums.

        Args:
            fetched: What the step gave for `fetch`.
            ballot: As for `feed`.
        """
        return ballot() if self._given is None else fetched[0].tolist()
