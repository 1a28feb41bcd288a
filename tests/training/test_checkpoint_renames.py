"""Training begins with a checkpoint whose scopes have other names."""

import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_network

from nets import nets_factory
from nets.training import config, loop


def test_scopes_of_the_checkpoint_are_renamed(tmp_path):
    tiny_network.register()
    images = tiny_network.make_images(tmp_path / 'images', per_class=4)
    with tf.Graph().as_default(), tf.Session() as session:
        nets_factory.get_network_fn('tiny', 3)(tf.zeros([1, 17, 17, 3]))
        session.run(tf.global_variables_initializer())
        values = session.run({one.op.name: one for one in tf.model_variables()})
        path = tf.train.Saver({one.op.name.replace('tiny', 'old/scope'): one for one in tf.model_variables()}).save(
            session, str(tmp_path / 'model.ckpt'), write_meta_graph=False)
    settings = config.TrainConfig(
        train_dir=str(tmp_path / 'run'), model_name='tiny', max_number_of_steps=1,
        data=config.DataConfig(dataset_name='image_folder', dataset_dir=images, batch_size=4),
        fine_tune=config.FineTuneConfig(checkpoint_path=path, checkpoint_renames=('old/scope=tiny',)))
    loop.train(settings)
    reader = tf.train.NewCheckpointReader(str(tmp_path / 'run' / 'model.ckpt-0'))
    for name, value in values.items():
        np.testing.assert_array_equal(reader.get_tensor(name), value)
    wrong = dataclasses.replace(settings, train_dir=str(tmp_path / 'wrong'), fine_tune=dataclasses.replace(
        settings.fine_tune, checkpoint_renames=('new=tiny',)))
    with pytest.raises(ValueError, match="The rename 'new=tiny' matches nothing in the checkpoint"):
        loop.train(wrong)
