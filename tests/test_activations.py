"""What the networks compute equals what TensorFlow 1.15 computed."""

import golden
import pytest
import tensorflow.compat.v1 as tf
from goldens import fill


def cases():
    for folder, later in ((golden.FOLDER, False), (golden.LATER, True)):
        for case in fill.load_cases('activations', folder):
            yield pytest.param(case, later, id=('later-' if later else '') + case['name'])


@pytest.mark.parametrize(('case', 'later'), list(cases()))
def test_network_computes_what_tensorflow_1_did(case, later):
    images, net, end_points = golden.build(case, later)
    with tf.Session() as session:
        golden.fill_variables(session, case.get('salt', ''))
        output, values = session.run([net, end_points], {images: golden.images_of(case)})
    limit = golden.TRAINING_LIMIT if case['kwargs']['is_training'] else golden.INFERENCE_LIMIT
    assert fill.compare('output', output, case['output'])['scaled'] < limit
    assert golden.worst(values, fill.end_points(case)) < limit
