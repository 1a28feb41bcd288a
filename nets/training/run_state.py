"""What a run has to know, besides its variables, to go on as if it had never stopped: saved among them.

Order and augmentation of the images are pure functions of the seed and of how many images were drawn
(`nets.data.order`), and so is everything else that is random in a step, of the seed and the step. So two numbers are
enough, and as they are variables, a checkpoint holds them together with the weights.
"""

import collections
import os

import tensorflow.compat.v1 as tf

# seed: int in [0, 2**31). examples: images that all workers together have drawn, an int.
RunState = collections.namedtuple('RunState', ('seed', 'examples'))

_SEED, _EXAMPLES = 'run/seed', 'run/examples'


def first(seed):
    """The state of a new run.

    Args:
        seed: An int; None for a random one.
    """
    return RunState(int.from_bytes(os.urandom(4), 'little') >> 1 if seed is None else seed, 0)


def read(reader, step, batch_size, seed):
    """The state in a checkpoint.

    Args:
        reader: `tf.train.NewCheckpointReader` on it.
        step: Its step.
        batch_size: Images per step, to count by if a run of slim, or of an older version, wrote the checkpoint.
        seed: Seed for that case, an int or None.
    """
    if not reader.has_tensor(_EXAMPLES):
        return RunState(first(seed).seed, step * batch_size)
    return RunState(int(reader.get_tensor(_SEED)), int(reader.get_tensor(_EXAMPLES)))


def add_variables(state, batch_size):
    """Adds the state to the current graph.

    Args:
        state: `RunState` that the run begins with.
        batch_size: Images per step, on all devices together.

    Returns:
        The variables, and the operation that has to run with each step.
    """
    with tf.variable_scope(tf.VariableScope(reuse=False)):
        seed, examples = (tf.get_variable(name, dtype=tf.int64, initializer=tf.constant(value, tf.int64),
                                          trainable=False, use_resource=True)
                          for name, value in ((_SEED, state.seed), (_EXAMPLES, state.examples)))
    return [seed, examples], tf.assign_add(examples, batch_size).op
