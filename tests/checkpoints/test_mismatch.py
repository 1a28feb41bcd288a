"""The words for what does not fit: the cause that applies is the one that is named."""

import pytest

from nets.checkpoints import mismatch

FLOAT = 'float32'


def _describe(names, held, missing=(), misshaped=()):
    return mismatch.describe('/c', names, sorted(held), list(missing), list(misshaped), [])


@pytest.mark.parametrize(('names', 'held', 'missing', 'misshaped', 'advice'), [
    (['resnet_v1_50/conv1/weights'], ['resnet_v2_50/conv1/weights'], ['resnet_v1_50/conv1/weights'], [],
     'another network; the model has resnet_v1_50 and the checkpoint holds resnet_v2_50'),
    (['n/logits/weights'], ['n/logits/weights'], [],
     [('n/logits/weights', ((4, 1001), FLOAT), ((4, 1000), FLOAT))],
     'another number of classes: 1001 in the checkpoint, 1000 in the model'),
    (['n/logits/weights', 'n/c/weights'], ['n/c/weights'], ['n/logits/weights'], [],
     '--checkpoint_exclude_scopes=n/logits'),
    (['n/c/weights', 'n/c/BatchNorm/gamma'], ['n/c/weights', 'n/c/biases'], ['n/c/BatchNorm/gamma'], [],
     'made without resnet_arg_scope'),
    (['n/conv1_1/weights'], ['n/conv1/weights'], ['n/conv1_1/weights'], [],
     'with "_beta" at the end of its name, or without'),
    (['n/conv1/weights'], ['n/conv1/weights'], [],
     [('n/conv1/weights', ((7, 7, 3, 64), FLOAT), ((7, 7, 1, 64), FLOAT))],
     'number of channels: 3 in the checkpoint, 1 in the model. Feed images of 3 channels'),
    (['n/w', 'n/w/Momentum'], ['n/w'], ['n/w/Momentum'], [], 'another --optimizer'),
    (['n/w'], ['n/w'], ['n/w/ExponentialMovingAverage'], [], 'Leave --moving_average_decay out'),
    (['n/w', 'n/x'], ['n/w'], ['n/x'], [], 'another network than --model_name says, or of another version'),
])
def test_likely_cause(names, held, missing, misshaped, advice):
    assert advice in _describe(names, held, missing, misshaped).replace('\n', ' ')


def test_scope_without_anything_alike_lists_what_there_is():
    text = mismatch.describe_scope('trainable_scopes', 'fc', ['net/conv1/weights', 'net/logits/biases'])
    assert text.endswith('There are: net, net/conv1, net/logits.')


@pytest.mark.parametrize(('held', 'missing', 'misshaped', 'advice'), [
    (['m/c/weights'], ['n/c/weights'], [], 'Change --network.'),
    (['x/n/c/weights'], ['n/c/weights'], [], "below 'x/' in the checkpoint. Add --rename=x="),
    (['n/c/weights'], ['n/c/weights/ExponentialMovingAverage'], [], 'Leave --moving_averages out'),
    (['n/c/weights'], [], [('n/logits/weights', ((4, 9), FLOAT), ((4, 7), FLOAT))], 'Leave --num_classes out'),
    (['n/x'], ['n/c/weights'], [], 'than --network says')])
def test_commands_are_advised_of_their_own_flags(held, missing, misshaped, advice):
    text = mismatch.describe('/c', ['n/c/weights'], held, missing, misshaped, [], user=mismatch.COMMANDS)
    assert advice in text
    assert not {'--model_name', '--checkpoint_exclude_scopes', '--moving_average_decay'} & set(text.split())


def test_renames_that_bring_nothing_are_the_cause():
    text = mismatch.describe('/c', ['n/c/weights'], ['n/x/c/weights'], ['n/c/weights'], [], [], [('m', 'n')])
    assert "renamed: 'm=n'" in text
    assert 'Likely cause: the renamed scopes are not those of the model. Change --checkpoint_renames.' in text


def test_the_flag_that_chooses_among_scopes_is_named():
    choices = [[('a', '')], [('b', '')]]
    assert "Choose by --checkpoint_renames, such as 'a=', 'b='." in mismatch.describe_choice(choices)
    assert 'Choose by --rename,' in mismatch.describe_choice(choices, mismatch.COMMANDS)
