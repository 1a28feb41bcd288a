"""TensorFlow's errors in the words that matter to the user."""

import re

import tensorflow.compat.v1 as tf

from nets import error_text

# Where the user's part of a message is: raised by Python code in the input pipeline, or asserted there.
_PATTERNS = (re.compile(r'^(?:.*: )?ValueError: (.+)$', re.MULTILINE),
             re.compile(r'assertion failed: \[(.+)\]'))

_ADVICE = ((tf.errors.ResourceExhaustedError, ' Lower --batch_size or the image size.'),)


def describe(error):
    """Finds the part of an error that speaks to the user.

    Args:
        error: A `tf.errors.OpError` of a session's run.

    Returns:
        One line of text.
    """
    advice = ''.join(text for kind, text in _ADVICE if isinstance(error, kind))
    for pattern in _PATTERNS:
        found = pattern.search(error.message)
        if found:
            return found.group(1).replace('] [', ' ') + advice
    return error_text.first_telling_line(error.message, type(error).__name__) + advice
