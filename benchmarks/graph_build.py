"""Time to build a network's training or inference graph: this library beside `tf_slim.nets`.

    python benchmarks/graph_build.py [--rounds 7] [--depths 50 101]

Each round runs both libraries in processes of their own, one after the other; import time is not counted, and each
process builds the graph once before the one that counts. `tf_slim.nets` builds on today's TensorFlow only with help:
for this benchmark tf_keras' legacy layer is registered under the name that TensorFlow looks for. Needs
`pip install tf_keras` of TensorFlow's version.
"""

import argparse
import json
import statistics
import subprocess
import sys

BUILD = '''
import importlib, json, os, sys, time, types
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
library, depth, training = sys.argv[1], sys.argv[2], sys.argv[3] == 'training'
import tensorflow.compat.v1 as tf
tf.logging.set_verbosity('ERROR')
if library == 'tf_slim':
    import tf_keras
    normalization = importlib.import_module('tf_keras.src.legacy_tf_layers.normalization')
    tf_keras.legacy_tf_layers = types.ModuleType('tf_keras.legacy_tf_layers')
    tf_keras.legacy_tf_layers.normalization = normalization
    sys.modules['tf_keras.legacy_tf_layers'] = tf_keras.legacy_tf_layers
    sys.modules['tf_keras.legacy_tf_layers.normalization'] = normalization
resnet_v1 = importlib.import_module(library + ('.nets' if library == 'tf_slim' else '') + '.resnet_v1')
import tf_slim as slim

def build():
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, 224, 224, 3])
        begin = time.perf_counter()
        with slim.arg_scope(resnet_v1.resnet_arg_scope()):
            getattr(resnet_v1, 'resnet_v1_' + depth)(images, 1000, is_training=training)
        return time.perf_counter() - begin, len(graph.get_operations())

build()
print(json.dumps(build()))
'''


def run(library, depth, mode):
    """Seconds and number of operations of one graph, built in a new process."""
    output = subprocess.run([sys.executable, '-W', 'ignore', '-c', BUILD, library, str(depth), mode], check=True,
                            capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--depths', type=int, nargs='+', default=[50, 101])
    arguments = parser.parse_args()
    print('| network | graph | nets: s | tf_slim.nets: s | ratio | operations |')
    print('| --- | --- | --- | --- | --- | --- |')
    for depth in arguments.depths:
        for mode in ('inference', 'training'):
            pairs = [(run('nets', depth, mode), run('tf_slim', depth, mode)) for _ in range(arguments.rounds)]
            ours, theirs = (statistics.median(pair[i][0] for pair in pairs) for i in (0, 1))
            ratio = statistics.median(a[0] / b[0] for a, b in pairs)
            print('| resnet_v1_{} | {} | {:.2f} | {:.2f} | {:.2f} | {} / {} |'.format(
                depth, mode, ours, theirs, ratio, pairs[0][0][1], pairs[0][1][1]), flush=True)


if __name__ == '__main__':
    main()
