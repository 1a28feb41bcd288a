"""Stores what TensorFlow 1.15's own layers make of NVIDIA's networks; see ../goldens/README.md.

Run as `PYTHONPATH=tests python3.7 tests/origins/write_nvidia_goldens.py`, with TensorFlow 1.15.5. The names of the
variables and the numbers are those of `tf.layers`, `tf.contrib.layers`, the optimizer and the loss scale of mixed
precision there; what NVIDIA's models are made of (github.com/NVIDIA/DeepLearningExamples, TensorFlow/Classification,
`ConvNets/model` and `RN50v1.5/model`) is stated here in its facts, and nothing comes from `nets`.
"""

import collections
import json
import os
import zlib

import numpy as np
import tensorflow as tf
from goldens import fill

FOLDER = os.path.dirname(os.path.abspath(fill.__file__))
# scope: of the network. blocks: (number in the names, that of the first unit, units, width, depth) of each. groups: of
# the 3x3. squeeze: what the channels are divided by, or None. same: whether strided convolutions have TensorFlow's
# padding, or as many zeros before as after.
Model = collections.namedtuple('Model', ['scope', 'root', 'blocks', 'groups', 'squeeze', 'same'])


def newer(scope, num_units, root, widths, expansion, groups=1, squeeze=None):
    """A model of `ConvNets`, which counts blocks and units from 0."""
    blocks = [(i, 0, number, width, width * expansion) for i, (number, width) in enumerate(zip(num_units, widths))]
    return Model(scope, root, blocks, groups, squeeze, True)


def older(scope, num_units, root, widths):
    """A model of `RN50v1.5`, which counts from 1, and the units of block 3 from 2."""
    blocks = [(i, 2 if i == 3 else 1, number, width, width * 4)
              for i, (number, width) in enumerate(zip(num_units, widths), 1)]
    return Model(scope, root, blocks, 1, None, False)


MODELS = {
    'resnet_nvidia_50': newer('resnet50', (3, 4, 6, 3), 64, (64, 128, 256, 512), 4),
    'resnext_nvidia_101_32x4d': newer('resnext101-32x4d', (3, 4, 23, 3), 64, (128, 256, 512, 1024), 2, 32),
    'se_resnext_nvidia_101_32x4d': newer('se-resnext101-32x4d', (3, 4, 23, 3), 64, (128, 256, 512, 1024), 2, 32, 16),
    'resnet_nvidia_50_2019': older('resnet50_v1.5', (3, 4, 6, 3), 64, (64, 128, 256, 512)),
}
NUM_UNITS = (1, 2, 2)
NARROW = {
    'nvidia_narrow': newer('resnet50', NUM_UNITS, 8, (4, 8, 16), 4),
    'nvidia_resnext_narrow': newer('resnext101-32x4d', NUM_UNITS, 8, (8, 16, 32), 2, 4),
    'nvidia_se_resnext_narrow': newer('se-resnext101-32x4d', NUM_UNITS, 8, (8, 16, 32), 2, 4, 16),
    'nvidia_2019_narrow': older('resnet50_v1.5', NUM_UNITS, 8, (4, 8, 16)),
}
# Each of the strided layers sees odd and even sizes, on one axis or the other.
SIZES = ((32, 32), (33, 33), (31, 46))


def convolution(net, model, scope, depth, size, stride, is_training, groups=1, activate=True):
    with tf.variable_scope(scope):
        padding = 'SAME'
        if stride > 1 and size > 1 and not model.same:
            net, padding = tf.pad(net, [[0, 0], [size // 2] * 2, [size // 2] * 2, [0, 0]]), 'VALID'
        if groups == 1:
            net = tf.layers.conv2d(net, depth, size, stride, padding, use_bias=False)
        else:
            kernel = tf.get_variable(scope + 'group_filter', [size, size, depth // groups, depth])
            # On CPUs TensorFlow 1.15 convolves no groups.
            net = tf.concat([tf.nn.conv2d(one, part, stride, padding) for one, part in zip(
                tf.split(net, groups, 3), tf.split(kernel, groups, 3))], 3)
        net = tf.contrib.layers.batch_norm(net, decay=0.9, scale=True, epsilon=1e-5, is_training=is_training)
        return tf.nn.relu(net) if activate else net


def unit(net, model, width, depth, stride, is_training):
    shortcut = net
    if net.shape.as_list()[3] != depth:
        with tf.variable_scope('shortcut'):
            shortcut = convolution(net, model, 'conv2d', depth, 1, stride, is_training, activate=False)
    net = convolution(net, model, 'bottleneck_1', width, 1, 1, is_training)
    net = convolution(net, model, 'bottleneck_2', width, 3, stride, is_training, model.groups)
    net = convolution(net, model, 'bottleneck_3', depth, 1, 1, is_training, activate=False)
    if model.squeeze:
        with tf.variable_scope('bottleneck_se_layer'):
            scale = tf.nn.relu(tf.layers.dense(tf.reduce_mean(net, [1, 2]), depth // model.squeeze))
            net *= tf.nn.sigmoid(tf.layers.dense(scale, depth))[:, None, None]
    return tf.nn.relu(shortcut + net)


def build(model, images, num_classes, is_training):
    """The units' results and the logits, by our names."""
    results = collections.OrderedDict()
    with tf.variable_scope(model.scope):
        net = convolution(images, model, 'conv2d', model.root, 7, 2, is_training)
        net = tf.layers.max_pooling2d(net, 3, 2, 'SAME')
        for i, (block, first, num_units, width, depth) in enumerate(model.blocks):
            for j in range(num_units):
                with tf.variable_scope('btlnck_block_%d_%d' % (block, first + j)):
                    net = unit(net, model, width, depth, 2 if i and not j else 1, is_training)
                results['block%d/unit_%d/bottleneck_v1' % (i + 1, j + 1)] = net
        with tf.variable_scope('output'):
            results['logits'] = tf.layers.dense(tf.reduce_mean(net, [1, 2]), num_classes)
    return results


def training_variables(model, num_classes):
    """Name and shape of all that a training run with mixed precision keeps, made in the default graph."""
    logits = build(model, tf.zeros([1, 64, 64, 3]), num_classes, True)['logits']
    step = tf.train.get_or_create_global_step()
    optimizer = tf.train.experimental.enable_mixed_precision_graph_rewrite(tf.train.MomentumOptimizer(0.1, 0.9))
    optimizer.minimize(tf.reduce_sum(logits), global_step=step)
    return [[variable.op.name, variable.shape.as_list()] for variable in tf.global_variables()]


def value(variable):
    """A random value, such that activations stay of order one."""
    name, shape = variable.op.name, variable.shape.as_list()
    if name in ('global_step', 'good_steps'):
        return 900
    noise = np.asarray(fill.images(shape, zlib.crc32(name.encode())))  # from -1 to 1
    if name.endswith(('gamma', 'moving_variance')):
        return 1 + noise / 2
    return noise * np.sqrt(6. / np.prod(shape[:-1])) if len(shape) > 1 else noise / 3


def narrow(name, arrays):
    """Writes a checkpoint, and the results of its network to `arrays`."""
    with tf.Graph().as_default(), tf.Session() as session:
        training_variables(NARROW[name], 5)
        for variable in tf.global_variables():
            variable.load(value(variable), session)
        prefix = tf.train.Saver(tf.global_variables()).save(
            session, os.path.join(FOLDER, 'nvidia', name + '.ckpt'), write_meta_graph=False, write_state=False)
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, None, None, 3])
        results = build(NARROW[name], images, 5, False)
        tf.train.Saver().restore(session, prefix)
        for size in SIZES:
            values = session.run(results, {images: fill.images((2,) + size + (3,))})
            arrays.update(('%s/%dx%d/%s' % ((name,) + size + (key,)), array) for key, array in values.items())


def variables(name):
    with tf.Graph().as_default():
        return [entry for entry in training_variables(MODELS[name], 1001) if not entry[0].endswith('/Momentum')]


def main():
    """Writes nvidia.json, nvidia.npz and the checkpoints in nvidia/."""
    os.makedirs(os.path.join(FOLDER, 'nvidia'), exist_ok=True)
    arrays = {}
    for name in NARROW:
        narrow(name, arrays)
    np.savez_compressed(os.path.join(FOLDER, 'nvidia.npz'), **arrays)
    lines = ['  %s: [\n   %s\n  ]' % (json.dumps(name), ',\n   '.join(map(json.dumps, variables(name))))
             for name in MODELS]
    with open(os.path.join(FOLDER, 'nvidia.json'), 'w') as stream:
        stream.write('{\n "made_with": %s,\n "sizes": %s,\n "variables": {\n%s\n }\n}\n' % (
            json.dumps({'tensorflow': tf.__version__, 'numpy': np.__version__}), json.dumps(SIZES), ',\n'.join(lines)))


if __name__ == '__main__':
    main()
