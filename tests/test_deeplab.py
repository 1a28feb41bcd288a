"""The networks of DeepLab's checkpoints equal what TensorFlow 1.15's own layers made of them."""

import golden
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill

from nets import nets_factory, resnet_v1_beta

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py


@pytest.mark.parametrize('case', [pytest.param(case, id=case['name']) for case in fill.load_cases('deeplab')])
def test_variables_and_end_points_equal_tensorflow_1(case, sessions):
    session = sessions.get(case['net'])
    with golden.new_variables(session), slim.arg_scope(resnet_v1_beta.resnet_arg_scope()):
        images = tf.placeholder(tf.float32, case['input']['shape'])
        _, end_points = nets_factory.networks_map[case['net']](
            images, is_training=False, global_pool=False, reuse=tf.AUTO_REUSE, **case['kwargs'])
        assert [v.op.name for v in tf.global_variables()] == case['variables']
    values = session.run(end_points, {images: golden.images_of(case)})
    assert golden.worst(values, fill.end_points(case)) < golden.INFERENCE_LIMIT
