"""Keras' own networks with random weights, run by Keras in the test's process."""

import concurrent.futures

import keras
import numpy as np

NUM_UNITS = {'50': (3, 4, 6, 3), '101': (3, 4, 23, 3), '152': (3, 8, 36, 3)}


def eagerly(fn, *args, **kwargs):
    """Calls a function in a thread of its own, as graphs are entered per thread and Keras runs in none."""
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        return executor.submit(fn, *args, **kwargs).result()


def build(function, classes=11, **kwargs):
    """A Keras Application without published weights, for images of any size, with random weights in every array."""
    kwargs = dict({'classifier_activation': None}, **kwargs)
    images = keras.Input([None, None, 3])
    return randomized(function(weights=None, input_tensor=images, classes=classes, **kwargs), seed=classes)


def resnext_50(input_tensor, classes, weights, classifier_activation):
    """ResNeXt50 as Keras Applications 1.0.8 had it: the groups are a depthwise convolution and a sum."""
    del weights
    layers = keras.layers
    groups = 32

    def convolve(net, name, filters, stride=1):
        return layers.Conv2D(filters, 1, stride, use_bias=False, name=name + '_conv')(net)

    def normalize(net, name):
        return layers.BatchNormalization(epsilon=1.001e-5, name=name + '_bn')(net)

    def group(net, name, filters, stride):
        width = filters // groups
        net = layers.ZeroPadding2D(1)(net)
        net = layers.DepthwiseConv2D(3, stride, depth_multiplier=width, use_bias=False, name=name + '_conv')(net)

        def add_up(net):
            size = keras.ops.shape(net)[:3]
            return keras.ops.reshape(keras.ops.sum(keras.ops.reshape(net, size + (groups, width, width)), axis=4),
                                     size + (filters,))

        return layers.Lambda(add_up, output_shape=(None, None, filters))(net)

    def unit(net, name, filters, stride, projects):
        shortcut = normalize(convolve(net, name + '_0', filters * 2, stride), name + '_0') if projects else net
        net = layers.ReLU()(normalize(convolve(net, name + '_1', filters), name + '_1'))
        net = layers.ReLU()(normalize(group(net, name + '_2', filters, stride), name + '_2'))
        net = normalize(convolve(net, name + '_3', filters * 2), name + '_3')
        return layers.ReLU(name=name + '_out')(layers.Add()([shortcut, net]))

    net = layers.ZeroPadding2D(3)(input_tensor)
    net = layers.Conv2D(64, 7, 2, use_bias=False, name='conv1_conv')(net)
    net = layers.ReLU()(normalize(net, 'conv1'))
    net = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(net))
    for block, (num_units, filters) in enumerate(zip((3, 4, 6, 3), (128, 256, 512, 1024)), 1):
        for i in range(1, num_units + 1):
            stride = 2 if i == 1 and block > 1 else 1
            net = unit(net, 'conv{}_block{}'.format(block + 1, i), filters, stride, projects=i == 1)
    net = layers.GlobalAveragePooling2D()(net)
    return keras.Model(input_tensor, layers.Dense(classes, classifier_activation, name='predictions')(net))


def randomized(model, seed):
    """Gives every weight and every statistic a random value, such that activations stay of order one."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(_draw(rng, layer.name, weight.path.rsplit('/', 1)[-1], tuple(weight.shape)))
    return model


def _draw(rng, layer, weight, shape):
    """Values of one array.

    What ends a residual is small, as up to fifty of them are added up, and so are logits. What comes before the
    normalisation within a residual is small, too, so that its epsilon counts (1e-5 is 1.001e-5: the fused operation has
    no smaller one).
    """
    last = 0.2 if layer.endswith(('_3_conv', '_3_bn', 'predictions')) else 1
    inner = 0.01 if layer.endswith(('_1_conv', '_2_conv', '_1_bn', '_2_bn')) else 1
    if weight in ('kernel', 'depthwise_kernel'):
        fan_in = np.prod(shape[:2]) * shape[3] if weight == 'depthwise_kernel' else np.prod(shape[:-1])
        return last * inner * rng.normal(0, np.sqrt(2 / fan_in), shape)
    if weight == 'gamma':
        return last * rng.uniform(0.5, 1.5, shape)
    if weight == 'moving_variance':
        return inner ** 2 * rng.uniform(0.5, 1.5, shape)
    return (1 if weight == 'beta' else inner) * rng.normal(0, 0.2, shape)


def arrays_of(model):
    """All weights of a model: a dict from `layer/weight` to array."""
    weights = {'{}/{}'.format(layer.name, weight.path.rsplit('/', 1)[-1]): weight
               for layer in model.layers for weight in layer.weights}
    return eagerly(lambda: {name: weight.value.numpy() for name, weight in weights.items()})


def outputs(model, names):
    """A function that runs a model on images and returns the outputs of some of its layers."""
    taps = keras.Model(model.inputs[0], {name: model.get_layer(name).output for name in names})

    def run(images):
        results = taps(images, training=False)
        return [results[name].numpy() for name in names]
    return run


def error(actual, expected):
    """The largest difference of two arrays of one shape, over the root mean square of the second."""
    assert actual.shape == expected.shape
    difference = np.abs(actual.astype(np.float64) - expected).max()
    return float(difference / np.sqrt(np.mean(np.square(expected, dtype=np.float64))))


def write_legacy(group, arrays):
    """Writes arrays by `layer/weight` into an HDF5 group as Keras 2 did, with names of fixed length."""
    layers = {}
    for name in arrays:
        layers.setdefault(name.split('/')[0], []).append(name)
    group.attrs['layer_names'] = np.array(list(layers), 'S')
    for layer, names in layers.items():
        group.create_group(layer).attrs['weight_names'] = np.array([name + ':0' for name in names], 'S')
        for name in names:
            group[layer][name + ':0'] = arrays[name]
