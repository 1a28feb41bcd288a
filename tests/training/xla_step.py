"""Run as a script, as XLA must be switched on before TensorFlow is imported: prints how a step compares as JSON."""

import json

import numpy as np
import steps
import tensorflow.compat.v1 as tf

from nets.training import inputs


def main():
    """Takes a step from the same weights without and with XLA."""
    values, clusters, start = [], [], None
    for xla in (False, True):
        with tf.Graph().as_default():
            one = steps.Steps(steps.settings(moving_average_decay=0.9), weights=start,
                              session_config=inputs.session_config(True, xla))
            start, metadata = one.variables(), tf.RunMetadata()
            metrics = one.take(*steps.examples(8), tf.RunOptions(output_partition_graphs=True), metadata)
            values.append({**one.variables(), **metrics})
            clusters.append(sum(node.op == '_XlaRun' for graph in metadata.partition_graphs for node in graph.node))
    difference = max(np.abs(value - values[1][name]).max() for name, value in values[0].items())
    print(json.dumps({'clusters': clusters, 'difference': float(difference)}))


if __name__ == '__main__':
    main()
