"""A grouped convolution as one operation beside the form of 32 branches: time to build the graph, and of a step.

    python benchmarks/grouped_convolution.py [--rounds 5]

The layers are the 3x3 convolutions of ResNeXt-50 32x4d, one of each of its four blocks. Each round times both forms
in one process, their steps in turns; the median of the rounds' ratios counts. `nets` decides the form by the processor,
and the first line says which one it took: with `TF_ENABLE_ONEDNN_OPTS=0` it is the split form.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import convolution, layers

# Width of the image and of the layer, at 224 pixels.
LAYERS = [(56, 128), (28, 256), (14, 512), (7, 1024)]
GROUPS = 32


def ours(images, depth):
    return layers.conv2d(images, depth, 3, num_groups=GROUPS, activation_fn=None, biases_initializer=None)


def branches(images, depth):
    """What is written where there is no grouped convolution: a layer for each group."""
    return tf.concat([slim.conv2d(part, depth // GROUPS, 3, activation_fn=None, biases_initializer=None)
                      for part in tf.split(images, GROUPS, 3)], 3)


def build(form, size, depth, batch, training):
    """Builds the layer, and its gradient for training; returns the graph, what to run, and the seconds it took."""
    with tf.Graph().as_default() as graph:
        images = tf.constant(np.random.RandomState(1).randn(batch, size, size, depth).astype(np.float32))
        begin = time.perf_counter()
        net = form(images, depth)
        seconds = time.perf_counter() - begin
        result = [tf.reduce_sum(net)]
        if training:
            gradients = tf.gradients(tf.reduce_sum(tf.square(net)), tf.trainable_variables() + [images])
            result += [tf.reduce_sum(gradient) for gradient in gradients]
        return graph, result, tf.global_variables_initializer(), seconds


def step_times(sessions, repeats):
    """Seconds of a run in each session, the median of runs that take turns."""
    times = [[] for _ in sessions]
    for _ in range(repeats):
        for (session, result), seconds in zip(sessions, times):
            begin = time.perf_counter()
            session.run(result)
            seconds.append(time.perf_counter() - begin)
    return [statistics.median(seconds) for seconds in times]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batch', type=int, default=8)
    arguments = parser.parse_args()
    print('One operation' if convolution.cpu_runs(groups=True) else 'Split and concatenation', 'on this processor.')
    print('| layer | step | build: nets / branches, ms | build ratio | step: nets / branches, ms | step ratio |')
    print('| --- | --- | --- | --- | --- | --- |')
    for size, depth in LAYERS:
        for training in (False, True):
            rounds = []
            for _ in range(arguments.rounds):
                sessions, builds = [], []
                for form in (ours, branches):
                    graph, result, initializer, seconds = build(form, size, depth, arguments.batch, training)
                    session = tf.Session(graph=graph)
                    session.run(initializer)
                    session.run(result)
                    sessions.append((session, result))
                    builds.append(seconds)
                rounds.append((builds, step_times(sessions, 9)))
                for session, _ in sessions:
                    session.close()
            medians = [[1e3 * statistics.median(pair[side] for pair in pairs) for side in (0, 1)]
                       for pairs in zip(*rounds)]
            ratios = [statistics.median(pair[1] / pair[0] for pair in pairs) for pairs in zip(*rounds)]
            print('| {0} x {0} x {1} | {2} | {3:.2f} / {4:.1f} | {5:.1f} | {6:.1f} / {7:.1f} | {8:.2f} |'.format(
                size, depth, 'training' if training else 'inference', *medians[0], ratios[0], *medians[1], ratios[1]),
                flush=True)


if __name__ == '__main__':
    main()
