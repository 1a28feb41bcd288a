"""Writes checkpoints of TensorFlow in its V2 format, without a network's graph."""

import numpy as np
import tensorflow.compat.v1 as tf

from nets.error_text import first_telling_line

STEP = 'global_step'


def write(prefix, arrays, step=0):
    """Writes `<prefix>.index` and `<prefix>.data-00000-of-00001`.

    Args:
        prefix: The checkpoint's prefix; its directory must exist.
        arrays: Dict from name to array.
        step: The value of `global_step`, int64, unless the arrays have one.

    Returns:
        The paths of the files, the index last: once it is there, the checkpoint is.

    Raises:
        OSError: The files cannot be written.
    """
    arrays = dict({STEP: np.asarray(step, np.int64)}, **arrays)
    names = sorted(arrays)
    with tf.Graph().as_default(), tf.Session(config=tf.ConfigProto(device_count={'GPU': 0})) as session:
        # Placeholders, as constants would be copied into the graph, which is limited to 2 GB.
        tensors = [tf.placeholder(arrays[name].dtype, arrays[name].shape) for name in names]
        save = tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[''] * len(names), tensors=tensors)
        try:
            session.run(save, {tensor: arrays[name] for tensor, name in zip(tensors, names)})
        except tf.errors.OpError as error:
            reason = first_telling_line(error.message, type(error).__name__)
            raise OSError(f'The checkpoint {prefix} cannot be written: {reason}') from error
    return [prefix + '.data-00000-of-00001', prefix + '.index']
