"""A network with its weights, ready to run: what is behind extraction and prediction."""

import difflib

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import convolution, nets_factory
from nets.checkpoints import restore
from nets.inference import engines, fold
from nets.inference.formats import onnx_file

# Besides the end points of the network: `[batch, height, width, num_classes]`, the features before the global pool
# times the weights of the logits (Zhou et al. 2016, arXiv:1512.04150, equation 2). Their mean over height and width,
# plus the bias, is the logit.
CLASS_ACTIVATION_MAPS = 'class_activation_maps'


def open_engine(engine, network, checkpoint, end_points, image_size, num_classes=None, moving_averages=False):
    """Makes a network ready to run, folded (see `nets.inference.fold`).

    Args:
        engine: str, one of `nets.inference.engines.ENGINES`.
        network: str, a name of `nets_factory.NETWORKS`.
        checkpoint: str, as `restore.find_checkpoint` takes it.
        end_points: names of end points, or `CLASS_ACTIVATION_MAPS`.
        image_size: int, height and width of the images in pixels.
        num_classes: int, the number of logits; 0 or None for a network that ends with its features.
        moving_averages: bool, whether to load the moving averages of the weights.

    Returns:
        An `engines.Engine`: a function from preprocessed images, float32 `[batch, image_size, image_size, 3]`, to a
        dict from end point to array, to be closed by the caller.

    Raises:
        ValueError: If the engine, the network or an end point is unknown, or the checkpoint cannot be read or does not
            fit.
        ImportError: If the engine's packages are not installed.
    """
    if engine not in engines.ENGINES:
        raise ValueError(f'The engine must be one of {", ".join(engines.ENGINES)}; got {engine!r}.')
    arguments = network, checkpoint, end_points, image_size, num_classes, moving_averages
    if engine == 'onnxruntime':
        onnx_file.require()
        folded = _folded(*arguments, one_op_groups=True)
        return engines.Engine(onnx_file.session_fn(onnx_file.serialize(folded), folded.end_points), lambda: None)
    config = fold.session_config()
    config.allow_soft_placement = config.gpu_options.allow_growth = True
    session, images, tensors = fold.session_of(_folded(*arguments), config)
    return engines.Engine(lambda batch: session.run(tensors, {images: batch}), session.close)


def _folded(network, checkpoint, end_points, image_size, num_classes, moving_averages, one_op_groups=None):
    nets_factory.get_network_fn(network, num_classes)  # knows what to say of an unknown name
    builder, arg_scope, _ = nets_factory.NETWORKS[network]
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, image_size, image_size, 3], name=fold.IMAGES)
        with slim.arg_scope(arg_scope(weight_decay=0.0)), slim.arg_scope([convolution.grouped], one_op=one_op_groups):
            _, known = builder(images, num_classes=num_classes or None, is_training=False)
        if num_classes:
            known = dict(known, **{CLASS_ACTIVATION_MAPS: class_activation_maps(known)})
        tensors = {name: known[name] for name in _checked(end_points, known, num_classes)}
        load = restore.restore_fn(checkpoint, tf.model_variables(), moving_averages=moving_averages)
        with tf.Session(config=tf.ConfigProto(device_count={'GPU': 0})) as session:
            load(session)
            return fold.fold_session(session, images, tensors)


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
