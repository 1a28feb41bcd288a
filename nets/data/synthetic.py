"""Images that cost next to nothing to read and decode, to measure what comes after: one grey ramp for all examples.

They are as many as those of ILSVRC-2012, so that a run has the same epochs. Their labels cannot be learned.
"""

import numpy as np
import tensorflow.compat.v1 as tf

from nets.data import images, sources

NUM_EXAMPLES = {'train': 1281167, 'validation': 50000}
NUM_CLASSES = 1000
SIZE = 224


def source(split_name):
    """The examples of a split.

    Args:
        split_name: str, a key of `NUM_EXAMPLES`.

    Returns:
        A `nets.data.sources.Source` of PNG files of 224x224 pixels, with the labels 0, 1, … 999, 0, …
    """
    rows, columns = np.ogrid[:SIZE, :SIZE]
    encoded = images.encode_grey_png(((rows + columns) // 2).astype(np.uint8))

    def lookup(numbers):
        names = tf.strings.join([f'synthetic/{split_name}/', tf.strings.as_string(numbers)])
        return {'name': names, 'label': numbers % NUM_CLASSES}

    def load(row):
        return {'encoded': tf.constant(encoded), 'label': row['label'], 'name': row['name']}

    return sources.Source(NUM_EXAMPLES[split_name], lookup, load)
