"""What the tests of the applications share: small applications, images, and how Keras is asked."""

import keras_reference
import numpy as np
from keras.src.applications import resnet as keras_resnet

from nets import nets_factory, resnet, resnet_keras, resnet_v1
from nets.applications import application

CLASSES = 11  # of the networks of Keras with random weights
LIMIT = 1e-5
SIZE = (32, 40)  # of the smallest application's images

_UNITS, _DEPTHS = (2, 2, 2, 2), (4, 8, 12, 16)
_LAYOUTS = {'tiny': resnet_v1.resnet_v1_14.layout._replace(depths=(4, 4, 8, 16)),
            **{name: layout._replace(num_units=_UNITS, depths=_DEPTHS) for name, layout in (
                ('small', resnet_keras.resnet_keras_50.layout), ('small_v2', resnet_keras.resnet_keras_v2_50.layout))}}
_TINY = application.application('Tiny', 'tiny', {}, __name__)
# Of Keras' own layers and with its names, but few and narrow ones; by the same names there and here.
SMALL = {'Small': application.application('Small', 'small', {}, __name__),
         'SmallV2': application.application('SmallV2', 'small_v2', {}, __name__)}
_STACKS = {'Small': keras_resnet.stack_residual_blocks_v1, 'SmallV2': keras_resnet.stack_residual_blocks_v2}


def register(monkeypatch=None):
    """Puts the small networks into the factory; with a patch, until it ends."""
    for name, layout in _LAYOUTS.items():
        builder = resnet.network(name, layout, default_image_size=32)
        row = nets_factory.Network(builder, builder.arg_scope, nets_factory.Preset(32, 'caffe', 0))
        if monkeypatch:
            monkeypatch.setitem(nets_factory.NETWORKS, name, row)
        else:
            nets_factory.NETWORKS[name] = row


def tiny(**kwargs):
    """An application of the smallest network, of slim's kind; of logits, as a softmax would hide differences."""
    fixed = {'classes': 3, 'classifier_activation': None}
    if 'input_tensor' not in kwargs:
        fixed['input_shape'] = SIZE + (3,)
    return _TINY(**dict(fixed, **kwargs))


def keras_function(name):
    """The function of Keras that makes a network of `SMALL` or of `keras.applications`."""
    if name not in _STACKS:
        return getattr(keras_reference.keras.applications, name, keras_reference.resnext_50)

    def stacks(net):
        strides = [1, 2, 2, 2] if name == 'Small' else [2, 2, 2, 1]
        for number, (units, depth, stride) in enumerate(zip(_UNITS, _DEPTHS, strides)):
            net = _STACKS[name](net, depth, units, stride1=stride, name='conv{}'.format(number + 2))
        return net

    return lambda **kwargs: keras_resnet.ResNet(stacks, preact=name == 'SmallV2', use_bias=True, **kwargs)


def images_of(number=3, size=(64, 81), seed=0):
    return np.random.default_rng(seed).normal(0, 1, (number,) + size + (3,)).astype(np.float32)


def predict(model, images):
    """What Keras predicts."""
    return keras_reference.eagerly(lambda: model.predict(images, verbose=0))


def output_of(model, layer, images):
    """What a layer of Keras puts out."""
    return keras_reference.eagerly(lambda: keras_reference.outputs(model, [layer])(images)[0])
