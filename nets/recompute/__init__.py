"""Gradients in less memory: activations are computed again where the backward pass needs them.

Only some tensors of the forward pass are kept for the backward pass, by default the results of the residual units. What
lies between two of them is computed a second time, once the gradients have come back as far as that. The forward pass
is built as always, so that variables, names, collections, end points and the updates of batch normalisation are those
of any graph, and the updates run once.

    _, end_points = resnet_v1.resnet_v1_101(images, 1000)
    …
    optimizer = recompute.Optimizer(tf.train.MomentumOptimizer(0.1, 0.9), every='unit')
    train_op = slim.learning.create_train_op(loss, optimizer)

Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016 (arXiv:1604.06174), section 4.
"""

from nets.recompute.gradients import Optimizer, compute_gradients, gradients
from nets.recompute.kept import kept_tensors

__all__ = ['Optimizer', 'compute_gradients', 'gradients', 'kept_tensors']
