"""The graph of a network at inference: its end points by name, and what is added to them when it is asked for."""

import collections
import difflib

import tensorflow.compat.v1 as tf

from nets import nets_factory

# Besides the end points of the network: `[batch, height, width, num_classes]`, the features before the global pool
# times the weights of the logits (Zhou et al. 2016, arXiv:1512.04150, equation 2). Their mean over height and width,
# plus the bias, is the logit.
CLASS_ACTIVATION_MAPS = 'class_activation_maps'


def build(network, images, end_points, num_classes=None, **kwargs):
    """Adds a network to the graph of its images.

    Args:
        network: Name of the network, a key of `nets_factory.NETWORKS`.
        images: float32 `[batch, height, width, channels]`.
        end_points: Names of end points, or `CLASS_ACTIVATION_MAPS`; None for all of the network's; or a function of the
            known names that returns those.
        num_classes: Number of logits; 0 or None for a network without them.
        **kwargs: Other arguments of the network, such as `global_pool` and `output_stride`.

    Returns:
        An ordered dict from end point to tensor.

    Raises:
        ValueError: If the network or an end point is unknown; the message lists those that are known.
    """
    _, known = nets_factory.get_network_fn(network, num_classes or None)(images, **kwargs)
    return _chosen(known, end_points(list(known)) if callable(end_points) else end_points, bool(num_classes))


def class_activation_maps(end_points):
    """Adds `CLASS_ACTIVATION_MAPS` to the graph of a network.

    Args:
        end_points: The network's end points, in the default graph.

    Returns:
        float32 `[batch, height, width, num_classes]`.
    """
    features = end_points['global_pool'].op.inputs[0]
    weights, = [variable for variable in tf.model_variables() if variable.op.name.endswith('logits/weights')]
    return tf.nn.conv2d(features, weights, strides=1, padding='VALID', name=CLASS_ACTIVATION_MAPS)


def _chosen(known, names, has_logits):
    """Those of the end points that are wanted, each once."""
    if names is None:
        return collections.OrderedDict(known)
    if isinstance(names, str) or not names:
        raise ValueError(f'end_points must be a list of one name at least; got {names!r}.')
    added = {CLASS_ACTIVATION_MAPS: class_activation_maps} if has_logits and 'global_pool' in known else {}
    for name in names:
        if name not in known and name not in added:
            raise ValueError(no_end_point(name, [*known, *added], has_logits))
    return collections.OrderedDict((name, known[name] if name in known else added[name](known)) for name in
                                   dict.fromkeys(names))


def no_end_point(name, known, has_logits=True):
    """The text of an error for a name that is not among the known ones."""
    alike = ([one for one in known if one.endswith('/' + str(name))]
             or difflib.get_close_matches(str(name), known, n=1))
    hint = f'did you mean {alike[0]!r}? ' if alike else ''
    ends = '' if has_logits else ' (The checkpoint holds no logits, so there are none here.)'
    return f'There is no end point {name!r}; {hint}there are {", ".join(known)}.{ends}'
