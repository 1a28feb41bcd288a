"""Time to restore a checkpoint of 100 MB (resnet_v1_50): this library beside `tf.train.Saver`.

    python benchmarks/restore.py [--rounds 15] [--network resnet_v1_50]

Each round restores by both, in turn, into the variables of a new graph: finding the checkpoint, comparing names and
shapes and making the operations on our side, making the saver on the other. Also timed: opening and reading the same
weights by `formats.open_weights`. The file is in the page cache.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import tensorflow.compat.v1 as tf

from nets import nets_factory
from nets.checkpoints import formats, restore


def by_nets(path, variables, session):
    """Restores through `restore_fn`."""
    restore.restore_fn(path, variables)(session)


def by_saver(path, variables, session):
    """Restores through TensorFlow's saver."""
    tf.train.Saver(variables).restore(session, path)


def by_reader(path, variables, session):
    """Reads everything into arrays of NumPy."""
    del variables, session
    with formats.open_weights(path) as weights:
        for name in weights.shapes:
            weights.read(name)


def seconds(function, path, network):
    """Time of one call, on a new graph whose variables are made already."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = build(network)
        session.run(tf.global_variables_initializer())
        begin = time.perf_counter()
        function(path, variables, session)
        return time.perf_counter() - begin


def build(network):
    """The variables of a network in the current graph."""
    nets_factory.get_network_fn(network, 1000)(tf.placeholder(tf.float32, [1, 224, 224, 3]))
    return tf.global_variables()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--network', default='resnet_v1_50')
    arguments = parser.parse_args()
    tf.logging.set_verbosity(tf.logging.ERROR)
    with tempfile.TemporaryDirectory() as directory:
        with tf.Graph().as_default(), tf.Session() as session:
            num_variables = len(build(arguments.network))
            session.run(tf.global_variables_initializer())
            path = tf.train.Saver().save(session, os.path.join(directory, 'model.ckpt'), write_meta_graph=False)
        size = sum(os.path.getsize(os.path.join(directory, name)) for name in os.listdir(directory))
        runs = {function: [] for function in (by_nets, by_saver, by_reader)}
        for number in range(arguments.rounds + 1):  # the first is a warm-up
            for function in (by_nets, by_saver, by_reader) if number % 2 else (by_saver, by_nets, by_reader):
                runs[function].append(seconds(function, path, arguments.network))
    ours, theirs, reader = (statistics.median(times[1:]) for times in runs.values())
    ratio = statistics.median(a / b for a, b in list(zip(runs[by_nets], runs[by_saver]))[1:])
    print(f'{arguments.network}, {size / 1e6:.0f} MB, {num_variables} variables, {arguments.rounds} rounds')
    print('| nets: s | tf.train.Saver: s | ratio | formats.open_weights: s |\n| --- | --- | --- | --- |')
    print(f'| {ours:.3f} | {theirs:.3f} | {ratio:.2f} | {reader:.3f} |')


if __name__ == '__main__':
    main()
