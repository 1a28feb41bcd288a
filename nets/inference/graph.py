"""A network with its weights, ready to run: the graph and the session behind extraction and prediction."""

import difflib

import tensorflow.compat.v1 as tf

from nets import nets_factory
from nets.checkpoints import restore

# Besides the end points of the network: `[batch, height, width, num_classes]`, the features before the global pool
# times the weights of the logits (Zhou et al. 2016, arXiv:1512.04150, equation 2). Their mean over height and width,
# plus the bias, is the logit.
CLASS_ACTIVATION_MAPS = 'class_activation_maps'


def make_session(network, checkpoint, end_points, image_size, num_classes=None, moving_averages=False):
    """Builds a network for inference in a graph of its own and loads its weights.

    Args:
        network: str, a name of `nets_factory.NETWORKS`.
        checkpoint: str, as `restore.find_checkpoint` takes it.
        end_points: names of end points, or `CLASS_ACTIVATION_MAPS`.
        image_size: int, height and width of the images in pixels.
        num_classes: int, the number of logits; 0 or None for a network that ends with its features.
        moving_averages: bool, whether to load the moving averages of the weights.

    Returns:
        `(session, images, tensors)`: the `tf.Session`, to be closed by the caller; the placeholder, float32 `[None,
        image_size, image_size, 3]`, of preprocessed images; and a dict from end point to tensor `[batch, …]`. The graph
        is not finalized.

    Raises:
        ValueError: If a network or end point is unknown, or the checkpoint cannot be read or does not fit.
    """
    with tf.Graph().as_default() as graph:
        network_fn = nets_factory.get_network_fn(network, num_classes)
        images = tf.placeholder(tf.float32, [None, image_size, image_size, 3], name='images')
        _, known = network_fn(images)
        if num_classes:
            known = dict(known, **{CLASS_ACTIVATION_MAPS: class_activation_maps(known)})
        tensors = {name: known[name] for name in _checked(end_points, known, num_classes)}
        load = restore.restore_fn(checkpoint, tf.model_variables(), moving_averages=moving_averages)
        config = tf.ConfigProto(allow_soft_placement=True)
        config.gpu_options.allow_growth = True
        session = tf.Session(graph=graph, config=config)
        try:
            load(session)
        except BaseException:
            session.close()
            raise
    return session, images, tensors


def _checked(end_points, known, num_classes):
    if isinstance(end_points, str) or not end_points:
        raise ValueError(f'end_points must be a list of one name at least; got {end_points!r}.')
    for name in end_points:
        if name not in known:
            alike = ([one for one in known if one.endswith('/' + str(name))]
                     or difflib.get_close_matches(str(name), known, n=1))
            hint = f'did you mean {alike[0]!r}? ' if alike else ''
            ends = '' if num_classes else ' (The checkpoint holds no logits, so there are none here.)'
            raise ValueError(f'There is no end point {name!r}; {hint}there are {", ".join(known)}.{ends}')
    return list(dict.fromkeys(end_points))


def class_activation_maps(end_points):
    """Adds `CLASS_ACTIVATION_MAPS` to the graph of a network.

    Args:
        end_points: the network's end points, in the default graph.

    Returns:
        float32 `[batch, height, width, num_classes]`.
    """
    features = end_points['global_pool'].op.inputs[0]
    weights, = [variable for variable in tf.model_variables() if variable.op.name.endswith('logits/weights')]
    return tf.nn.conv2d(features, weights, strides=1, padding='VALID', name=CLASS_ACTIVATION_MAPS)
