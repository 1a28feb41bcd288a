"""TFRecord: a `tf.train.Example` for each image.

Its features are `image/filename`, and for each end point `END_POINT`, a list of floats (float32) or the raw
little-endian bytes (float16), and `END_POINT/shape`.
"""

import os

import tensorflow.compat.v1 as tf


def check(end_points):
    if 'image/filename' in end_points:
        raise ValueError("The end point 'image/filename' has the name of the feature of the file names.")


def write(path, rows):
    with tf.python_io.TFRecordWriter(path) as writer:
        for names, arrays in rows.blocks():
            for row, name in enumerate(names):
                example = _example(name, {end_point: array[row] for end_point, array in arrays.items()})
                writer.write(example.SerializeToString(deterministic=True))


def _example(name, features):
    example = tf.train.Example()
    feature = example.features.feature
    feature['image/filename'].bytes_list.value.append(os.fsencode(name))
    for end_point, array in features.items():
        feature[end_point + '/shape'].int64_list.value.extend(array.shape)
        if array.dtype == 'float32':
            feature[end_point].float_list.value.extend(array.ravel())
        else:
            feature[end_point].bytes_list.value.append(array.tobytes())
    return example
