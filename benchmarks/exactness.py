"""Parameters of each network, and how far its results are from those of TensorFlow 1.15.

    TF_ENABLE_ONEDNN_OPTS=0 python benchmarks/exactness.py [NETWORK …]

Prints a table of the largest scaled difference (divided by the root mean square of the reference tensor) of the
output and of all end points, over all golden cases with `is_training=False`.
"""

import os
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests')]

import golden
import numpy as np
import tensorflow.compat.v1 as tf
from goldens import fill

from nets import nets_factory


def num_parameters(name):
    """Trainable parameters with 1000 classes."""
    with tf.Graph().as_default():
        nets_factory.get_network_fn(name, 1000)(tf.placeholder(tf.float32, [1, 224, 224, 3]))
        return sum(int(np.prod(variable.shape.as_list())) for variable in tf.trainable_variables())


def error(case, later):
    """The largest scaled difference of a case."""
    with tf.Graph().as_default(), tf.Session() as session:
        images, net, end_points = golden.build(case, later)
        golden.fill_variables(session, case.get('salt', ''))
        output, values = session.run([net, end_points], {images: golden.images_of(case)})
        return max(fill.compare('output', output, case['output'])['scaled'],
                   golden.worst(values, fill.end_points(case)))


def main():
    cases = [(case, folder == golden.LATER) for folder in (golden.FOLDER, golden.LATER)
             for case in fill.load_cases('activations', folder) if not case['kwargs']['is_training']]
    print('| network | parameters | golden cases | largest difference |')
    print('| --- | --- | --- | --- |')
    for name in sys.argv[1:] or sorted({case['net'] for case, _ in cases}):
        errors = [error(case, later) for case, later in cases if case['net'] == name]
        print('| `{}` | {:,} | {} | {:.1e} |'.format(
            name, num_parameters(name), len(errors), max(errors)), flush=True)


if __name__ == '__main__':
    main()
