"""Stores what TensorFlow 1.15's own layers make of DeepLab's ResNets; see goldens/README.md.

Run as `PYTHONPATH=tests python3.7 tests/write_deeplab_goldens.py`, with TensorFlow 1.15.5: the blocks, the strided
convolutions and the layers are those of `tensorflow.contrib.slim`; what DeepLab adds (research/deeplab/core/
resnet_v1_beta.py) is stated here in its facts, and nothing comes from `nets`.
"""

import json
import os

import numpy as np
import tensorflow as tf
from goldens import fill
from tensorflow.contrib import slim
from tensorflow.contrib.slim.python.slim.nets import resnet_utils, resnet_v1

STAGES = ((64, 2), (128, 2), (256, 2), (512, 1))
CASES = [
    {'net': 'resnet_v1_18', 'units': [2, 2, 2, 2], 'kwargs': {}},
    {'net': 'resnet_v1_18', 'units': [2, 2, 2, 2], 'kwargs': {'output_stride': 8, 'multi_grid': [1, 2]}},
    {'net': 'resnet_v1_34', 'units': [3, 4, 6, 3], 'kwargs': {'output_stride': 16}},
    {'net': 'resnet_v1_18_beta', 'units': [2, 2, 2, 2], 'kwargs': {}},
    {'net': 'resnet_v1_18_beta', 'units': [2, 2, 2, 2], 'kwargs': {'output_stride': 16, 'multi_grid': [2, 4]}},
    {'net': 'resnet_v1_50_beta', 'units': [3, 4, 6, 3], 'kwargs': {}},
    {'net': 'resnet_v1_50_beta', 'units': [3, 4, 6, 3], 'kwargs': {'output_stride': 8, 'multi_grid': [1, 2, 4]}},
    {'net': 'resnet_v1_101_beta', 'units': [3, 4, 23, 3], 'kwargs': {'output_stride': 16, 'multi_grid': [1, 2, 1]}},
]
SIZES = ((64, 64), (65, 81))


@slim.add_arg_scope
def unit(net, kernels, depths, stride, unit_rate=1, rate=1, outputs_collections=None):
    """DeepLab's units: convolutions `conv1`, `conv2`, …; `conv2` has the stride, all of 3x3 have the rates."""
    with tf.variable_scope('bottleneck_v1' if len(kernels) == 3 else 'lite_bottleneck_v1') as scope:
        if net.shape.as_list()[3] == depths[-1]:
            shortcut = resnet_utils.subsample(net, stride, 'shortcut')
        else:
            shortcut = slim.conv2d(net, depths[-1], [1, 1], stride=stride, activation_fn=None, scope='shortcut')
        for i, (kernel, depth) in enumerate(zip(kernels, depths)):
            activation = {'activation_fn': None} if i == len(kernels) - 1 else {}
            with slim.arg_scope([slim.conv2d], **activation):
                net = resnet_utils.conv2d_same(net, depth, kernel, stride if i == 1 else 1, scope='conv%d' % (i + 1),
                                               rate=1 if kernel == 1 else rate * unit_rate)
        return slim.utils.collect_named_outputs(outputs_collections, scope.name, tf.nn.relu(shortcut + net))


def blocks(case):
    """The blocks of a case, the last one with the rates of its grid."""
    for i, ((depth, stride), num_units) in enumerate(zip(STAGES, case['units'])):
        shape = {'kernels': [3, 3], 'depths': [depth, depth]} if '_18' in case['net'] or '_34' in case['net'] else {
            'kernels': [1, 3, 1], 'depths': [depth, depth, 4 * depth]}
        args = [dict(shape, stride=1) for _ in range(num_units - 1)] + [dict(shape, stride=stride)]
        if i == 3:
            args = [dict(arg, unit_rate=rate) for arg, rate in zip(args, case['kwargs'].get('multi_grid', [1] * 3))]
        yield resnet_utils.Block('block%d' % (i + 1), unit, args)


def build(case, images):
    """The features and the end points."""
    output_stride = case['kwargs'].get('output_stride')
    scope = case['net'].replace('_beta', '')
    with slim.arg_scope(resnet_v1.resnet_arg_scope()), tf.variable_scope(scope), \
            slim.arg_scope([slim.conv2d, unit, resnet_utils.stack_blocks_dense], outputs_collections='end_points'), \
            slim.arg_scope([slim.batch_norm], is_training=False):
        if case['net'].endswith('_beta'):
            width = 16 if '_18' in case['net'] else 64  # DeepLab's root depth multiplier of 0.25
            net = resnet_utils.conv2d_same(images, width, 3, stride=2, scope='conv1_1')
            net = resnet_utils.conv2d_same(net, width, 3, stride=1, scope='conv1_2')
            net = resnet_utils.conv2d_same(net, 2 * width, 3, stride=1, scope='conv1_3')
        else:
            net = resnet_utils.conv2d_same(images, 64, 7, stride=2, scope='conv1')
        net = slim.max_pool2d(net, 3, stride=2, padding='SAME', scope='pool1')
        net = resnet_utils.stack_blocks_dense(net, list(blocks(case)), output_stride and output_stride // 4)
    return net, slim.utils.convert_collection_to_dict('end_points')


def golden(case, size, arrays):
    """A case as the JSON file has it; adds its arrays to `arrays`."""
    name = '_'.join([case['net'], '%dx%d' % size] + [
        '%s%s' % (key[0], ''.join(map(str, np.ravel(value)))) for key, value in sorted(case['kwargs'].items())])
    shape = [1, size[0], size[1], 3]
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, shape)
        net, end_points = build(case, images)
        variables = tf.global_variables()
        initializers = [variable.initializer for variable in variables]
        session.run(initializers, {op.inputs[1]: fill.fill_variable(v.op.name, v.shape.as_list())
                                   for op, v in zip(initializers, variables)})
        values = session.run(end_points, {images: fill.images(shape, 1)})
        names = [v.op.name for v in variables]
    prints = [fill.fingerprint(key, array) for key, array in values.items()]
    arrays[name + '/statistics'] = np.array([[print_[key] for key in ('mean', 'std', 'l2')] for print_ in prints])
    arrays[name + '/values'] = np.array([print_['values'] for print_ in prints])
    return {'name': name, 'net': case['net'], 'kwargs': case['kwargs'], 'input': {'shape': shape, 'seed': 1},
            'variables': names, 'end_points': {
                'names': list(values), 'shapes': [list(array.shape) for array in values.values()],
                'statistics': {'npz': name + '/statistics'}, 'values': {'npz': name + '/values'}}}


def main():
    """Writes deeplab.json and deeplab.npz."""
    folder, arrays = os.path.dirname(os.path.abspath(fill.__file__)), {}
    lines = [json.dumps(golden(case, size, arrays)) for case in CASES for size in SIZES]
    made_with = json.dumps({'tensorflow': tf.__version__, 'numpy': np.__version__})
    with open(os.path.join(folder, 'deeplab.json'), 'w') as stream:
        stream.write('{\n "made_with": ' + made_with + ',\n "cases": [\n  ' + ',\n  '.join(lines) + '\n ]\n}\n')
    np.savez_compressed(os.path.join(folder, 'deeplab.npz'), **arrays)
    print('%d cases' % len(lines))


if __name__ == '__main__':
    main()
