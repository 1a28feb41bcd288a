"""A frozen graph: one file with a `tf.GraphDef`, constants for variables, and nothing that TensorFlow 1.15 lacks."""

import contextlib

import tensorflow.compat.v1 as tf

from nets.inference import fold


def write(folded, path, preset):
    """Writes the file; see `nets.inference.formats`."""
    del preset
    graph_def = folded.nodes.graph_def()
    strip_defaults(graph_def)
    with open(path, 'wb') as file:
        file.write(graph_def.SerializeToString())
    return {}


@contextlib.contextmanager
def load(path, folded):
    """Runs the file in a graph and session of its own; see `nets.inference.formats`."""
    graph_def = tf.GraphDef()
    with open(path, 'rb') as file:
        graph_def.ParseFromString(file.read())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name='')
    with tf.Session(graph=graph, config=fold.session_config()) as session:
        yield lambda images: session.run({name: operation + ':0' for name, operation in folded.end_points.items()},
                                         {folded.images + ':0': images})


def strip_defaults(graph_def):
    """Leaves out attributes that have their default: an older TensorFlow refuses those that it does not know."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name='')
        defaults = {operation.type: operation.op_def for operation in graph.get_operations()}
    for node in graph_def.node:
        for attribute in defaults[node.op].attr:
            if attribute.HasField('default_value') and node.attr[attribute.name] == attribute.default_value:
                del node.attr[attribute.name]
