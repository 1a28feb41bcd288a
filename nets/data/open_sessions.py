"""Sessions that a program leaves open when it ends."""

import atexit
import functools
import gc

import tensorflow.compat.v1 as tf

_SESSIONS = (tf.Session, tf.InteractiveSession)


@functools.cache
def close_at_exit():
    """Sees to it that sessions are closed before the interpreter goes, where they are still open when a program ends.

    Closing a session waits for what its input pipeline is doing. While the interpreter goes, some of what calls Python
    is never done: about one process in twenty waited for good.
    """
    atexit.register(_close)


def _close():
    for thing in gc.get_objects():
        # By type(), as some of TensorFlow's objects import a module when they are asked for their class.
        if issubclass(type(thing), _SESSIONS):
            thing.close()
