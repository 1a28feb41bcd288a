"""Makes the functions of Keras Applications: one mechanism, a row for each."""

import collections

import tensorflow.compat.v1 as tf

from nets.applications import arguments, imagenet, network
from nets.applications import weights as loading
from nets.applications.model import Model

# What an application returns where it adds to a graph.
Tensors = collections.namedtuple('Tensors', ['output', 'end_points'])

_DOC = """{name} of Keras Applications: the network `{network}` of ours, for inference.

    Args:
        include_top: Whether to pool the features and classify.
        weights: None for random weights; 'imagenet' for the published ones, which are fetched once; or the path of a
            checkpoint of slim's, or of a file that Keras wrote.
        input_tensor: Images in a graph of yours, `[batch, height, width, channels]`, which are cast to float32: the
            network is added to that graph. None for a model with a graph of its own.
        input_shape: (height, width, channels), the first two of at least 32, or None where they are open. Default:
            (224, 224, 3) with a top, and images of any size without; the shape of `input_tensor` if that is given.
        pooling: Without a top, what becomes of height and width of the features: 'avg', 'max', or None to keep them.
        classes: Number of classes of the top; 1000 with weights='imagenet'.
        classifier_activation: What to do with the logits: 'softmax' or None; or, without weights, another of Keras'
            names or a function.

    Returns:
        A `nets.applications.model.Model`. With `input_tensor` the tensors (output, end points), where end points are a
        dict; initializing the variables (`tf.compat.v1.global_variables_initializer()`) then gives them the weights.

    Raises:
        ValueError: An argument cannot be, or the weights do not fit; the message says what can.
        OSError: The published weights cannot be fetched; the message says from where, and where to put them.
    """


def application(name, network_name, published, module):
    """Makes an application.

    Args:
        name: Name of the function.
        network_name: Name of the network.
        published: Dict from whether there is a top to `imagenet.File`.
        module: Name of the module that the function is a member of.

    Returns:
        A function.
    """
    def build(include_top=True, weights='imagenet', input_tensor=None, input_shape=None, pooling=None, classes=1000,
              classifier_activation='softmax'):
        path = loading.locate(weights)
        checked = arguments.check(include_top, path, input_tensor, input_shape, pooling, classes, classifier_activation)
        if path == 'imagenet':
            path = imagenet.fetch(published[bool(include_top)], network_name)
        if input_tensor is None:
            return Model(name, network_name, checked, path)
        return _extend(network_name, input_tensor, checked, path)

    build.__name__ = build.__qualname__ = name
    build.__module__ = module
    build.__doc__ = _DOC.format(name=name, network=network_name)
    return build


def _extend(network_name, images, checked, path):
    """Adds a network to the graph of its images."""
    with images.graph.as_default():
        images = tf.cast(images, tf.float32)
        if images.shape.as_list()[1:] != checked.image_shape:
            images = tf.ensure_shape(images, [None] + checked.image_shape)
        built = network.build(network_name, images, checked)
        if path is not None:
            loading.initialize(path, network_name, built.variables)
    return Tensors(built.output, built.end_points)
