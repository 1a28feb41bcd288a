"""A network at inference as fast as TensorFlow runs it: constants for variables, batch norm inside convolutions.

At inference batch normalisation is a scale and a shift of each channel, so it can go into the weights and biases of
the convolution before it: `gamma / sqrt(variance + epsilon)` times the weights. The products are taken in float64 and
rounded once. What has no convolution right before it (`preact` and `postnorm` of v2) keeps its operation.

    session, images, tensors = fold.folded_session('resnet_v1_50', 'resnet_v1_50.ckpt', ['global_pool'])
    features = session.run(tensors['global_pool'], {images: batch})
"""

import collections

import numpy as np
import tensorflow.compat.v1 as tf

from nets.checkpoints import mismatch, restore
from nets.inference import frozen
from nets.inference import graph as graphs

IMAGES = 'images'  # name of the placeholder

# `nodes`: `frozen.Nodes`; `images`: name of the placeholder; `end_points`: ordered dict from an end point's name to the
# name of its operation.
Folded = collections.namedtuple('Folded', ['nodes', 'images', 'end_points'])


def folded_session(network, checkpoint, end_points, num_classes=None, image_shape=(None, None, None, 3), config=None,
                   variables=False, **kwargs):
    """A session on a folded network, in a graph of its own.

    Args:
        config: `tf.ConfigProto`; None for `session_config()`.
        variables: Whether the weights are variables rather than constants. TensorFlow copies a graph, and all constants
            with it, ten times before its first run, and keeps some copies: with variables a process takes 1 GB less
            for a ResNet-50, and every run up to 3 % longer, as oneDNN orders the weights anew in each.
        network, checkpoint, end_points, num_classes, image_shape, **kwargs: As in `fold`.

    Returns:
        A `tf.Session`, the placeholder of the images, and an ordered dict from end point to tensor.

    Raises:
        ValueError: As in `fold`.
    """
    return session_of(fold(network, checkpoint, end_points, num_classes, image_shape, **kwargs), config, variables)


def session_of(folded, config=None, variables=False):
    """A session on what `fold` returned; see `folded_session`.

    Raises:
        ValueError: If it is no graph that TensorFlow runs, as something of the unfolded one needs its variables.
    """
    with tf.Graph().as_default() as graph:
        weights = folded.nodes.weights() if variables else {}
        tf.import_graph_def(folded.nodes.graph_def(weights), name='')
    tensors = collections.OrderedDict((name, graph.get_tensor_by_name(operation + ':0'))
                                      for name, operation in folded.end_points.items())
    images = graph.get_tensor_by_name(folded.images + ':0')
    session = tf.Session(graph=graph, config=config or session_config())
    assign(session, weights)
    return session, images, tensors


def assign(session, values, scope=''):
    """Gives the variables of `Nodes.graph_def` their values, one after the other.

    Args:
        session: `tf.Session`.
        values: Dict from name to array.
        scope: What the names of the variables begin with in the graph.
    """
    with session.graph.as_default(), tf.name_scope('assign/'):
        variables = [session.graph.get_tensor_by_name(scope + name + ':0') for name in values]
        steps = [tf.assign(variable, tf.placeholder(variable.dtype.base_dtype, variable.shape))
                 for variable in variables]
    for step, value in zip(steps, values.values()):
        session.run(step.op, {step.op.inputs[1]: value})


def session_config():
    """The settings of sessions for inference; benchmarks/README.md has what others gave."""
    # Two networks share a GPU only if none takes all of its memory at once.
    return tf.ConfigProto(allow_soft_placement=True, gpu_options={'allow_growth': True})


def fold(network, checkpoint, end_points, num_classes=None, image_shape=(None, None, None, 3), moving_averages=False,
         renames=(), **kwargs):
    """Folds a network with the values of a checkpoint.

    Args:
        network: Name of the network, a key of `nets_factory.NETWORKS`.
        checkpoint: A checkpoint's prefix, one of its files, or a directory.
        end_points: Names of end points; None for all; see `graph.build`.
        num_classes: Number of logits; 0 or None for a network without them.
        image_shape: Shape of the images, `(batch, height, width, channels)`; all but the channels may be None.
        moving_averages: Whether to read the averages of the weights.
        renames: Scopes that the checkpoint has under other names; see `restore.restore_fn`.
        **kwargs: Other arguments of the network, such as `global_pool` and `output_stride`.

    Returns:
        `Folded`.

    Raises:
        ValueError: If the network or an end point is unknown, or the checkpoint does not fit.
    """
    return fold_and_run(network, checkpoint, end_points, num_classes, image_shape, (), moving_averages, renames,
                        **kwargs)[0]


def fold_and_run(network, checkpoint, end_points, num_classes, image_shape, batches, moving_averages=False,
                 renames=(), **kwargs):
    """Folds a network, and runs it as it was before, for comparison.

    Args:
        batches: Images, a list of arrays.
        network, checkpoint, end_points, num_classes, image_shape, moving_averages, renames, **kwargs: As in `fold`.

    Returns:
        `Folded`, and a list of pairs: images, and a dict from end point to the array that the plain network gives.

    Raises:
        ValueError: As in `fold`.
    """
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, None, None, image_shape[3]], name=IMAGES)
        tensors = graphs.build(network, images, end_points, num_classes, **kwargs)
        load = restore.restore_fn(checkpoint, tf.global_variables(), moving_averages=moving_averages, renames=renames,
                                  user=mismatch.COMMANDS)
        with tf.Session(graph=graph, config=tf.ConfigProto(device_count={'GPU': 0})) as session:
            load(session)
            folded = fold_session(session, images, tensors, image_shape)
            return folded, [(batch, session.run(tensors, {images: batch})) for batch in batches]


def fold_session(session, images, tensors, image_shape=None):
    """Folds the graph of a session with the values that its variables have there.

    Args:
        session: `tf.Session` on the graph of a network at inference.
        images: The placeholder of the images.
        tensors: Ordered dict from end point to tensor.
        image_shape: Shape of the images; None for that of the placeholder.

    Returns:
        `Folded`.

    Raises:
        ValueError: If a tensor is not the first result of its operation.
    """
    for name, tensor in tensors.items():
        if tensor.value_index != 0:
            raise ValueError(f'The end point {name!r} is {tensor.name}; only first results of operations are folded.')
    operations = collections.OrderedDict((name, tensor.op.name) for name, tensor in tensors.items())
    with session.graph.as_default():
        values = session.run({variable.op.name: variable for variable in tf.global_variables()})
    nodes = frozen.freeze(session.graph, [images.op.name] + list(operations.values()), values)
    if image_shape is not None:
        nodes[images.op.name].attr['shape'].shape.CopyFrom(tf.TensorShape(image_shape).as_proto())
    fold_batch_norms(nodes)
    return Folded(nodes, images.op.name, operations)


def fold_batch_norms(nodes):
    """Multiplies batch normalisation into the convolutions before it, in place."""
    consumers = nodes.consumers()
    for name, node in list(nodes.items()):
        if node.op not in ('FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3') or node.attr['is_training'].b:
            continue
        found = _convolutions(nodes, consumers, node.input[0])
        if found is None or node.attr['data_format'].s == b'NCHW':
            continue
        net, convolutions, biases = found
        scale, shift = scale_and_shift(nodes, node)
        parts = np.split(scale, len(convolutions))
        for one, part in zip(convolutions, parts):
            weights = nodes.constants[one.input[1]]
            nodes.constants[one.name + '/weights'] = (weights.astype(np.float64) * part).astype(weights.dtype)
            one.input[1] = one.name + '/weights'
        nodes.constants[name + '/biases'] = (shift + scale * biases).astype(weights.dtype)
        nodes[name] = tf.NodeDef(name=name, op='BiasAdd', input=[net, name + '/biases'])
        nodes[name].attr['T'].CopyFrom(node.attr['T'])
    nodes.prune()


def scale_and_shift(nodes, node):
    """What batch normalisation multiplies by and adds at inference, in float64."""
    gamma, beta, mean, variance = (nodes.constants[reference].astype(np.float64) for reference in node.input[1:5])
    with np.errstate(invalid='ignore', divide='ignore'):  # damaged statistics give NaN, as they do unfolded
        scale = gamma / np.sqrt(variance + node.attr['epsilon'].f)
        return scale, beta - mean * scale


def _convolutions(nodes, consumers, reference):
    """What computes a tensor that nothing else reads, if that are convolutions, one for each group of channels.

    Returns:
        The name of the result before biases, the nodes of the convolutions, and the biases or 0; None if it is
        something else.
    """
    node = nodes.get(reference)
    if node is None or consumers[reference] > 1:
        return None
    if node.op == 'BiasAdd':
        found = _convolutions(nodes, consumers, node.input[0])
        return found and found[:2] + (found[2] + nodes.constants[node.input[1]].astype(np.float64),)
    if node.op == 'Conv2D' and node.input[1] in nodes.constants and node.attr['data_format'].s != b'NCHW':
        return reference, [node], 0.
    if node.op == 'ConcatV2' and nodes.constants[node.input[-1]] in (3, -1):
        parts = [_convolutions(nodes, consumers, one) for one in node.input[:-1]]
        if all(part is not None and len(part[1]) == 1 and nodes[part[0]].op == 'Conv2D' and part[0] == one
               for part, one in zip(parts, node.input)):
            return reference, [part[1][0] for part in parts], 0.
    return None
