"""What the networks compute equals what TensorFlow 1.15 computed."""

import golden
import pytest
import tensorflow.compat.v1 as tf
from goldens import fill

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py


def group(case):
    """What decides about the variables of a case, but for those of the logits."""
    kwargs = case['kwargs']
    return (case['net'], case.get('salt', ''), case.get('arg_scope', {}).get('use_batch_norm', True),
            kwargs.get('depth_multiplier', 1), kwargs.get('min_base_depth', 0))


def cases():
    """Parameters of the cases; those whose networks can share their variables have the same key and are in a row."""
    every = [(case, later) for folder, later in ((golden.FOLDER, False), (golden.LATER, True))
             for case in fill.load_cases('activations', folder)]
    num_classes = {group(case): case['kwargs']['num_classes'] for case, _ in every if case['kwargs']['num_classes']}
    keys = [group(case) + (case['kwargs']['num_classes'] or num_classes[group(case)],) for case, _ in every]
    for key, (case, later) in sorted(zip(keys, every), key=lambda pair: pair[0]):
        yield pytest.param(case, later, key, id=('later-' if later else '') + case['name'])


@pytest.mark.parametrize(('case', 'later', 'key'), list(cases()))
def test_network_computes_what_tensorflow_1_did(case, later, key, sessions):
    session = sessions.get(key)
    with golden.new_variables(session, case.get('salt', '')):
        images, net, end_points = golden.build(dict(case, kwargs=dict(case['kwargs'], reuse=tf.AUTO_REUSE)), later)
    output, values = session.run([net, end_points], {images: golden.images_of(case)})
    limit = golden.TRAINING_LIMIT if case['kwargs']['is_training'] else golden.INFERENCE_LIMIT
    assert fill.compare('output', output, case['output'])['scaled'] < limit
    assert golden.worst(values, fill.end_points(case)) < limit
