"""Checkpoints that TensorFlow 1.15 wrote with NVIDIA's names become ours; ../test_nvidia_networks.py runs them."""

import os
import re

import narrow
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from goldens import fill

from nets import nets_factory, resnet
from nets.checkpoints import built, inspection, nvidia_forward, nvidia_names, preset_file, restore
from nets.checkpoints.convert import convert
from nets.checkpoints.writers import checkpoint
from nets.cli import main

FOLDER = os.path.join(os.path.dirname(os.path.abspath(fill.__file__)), 'nvidia')
SIZES = [tuple(size) for size in fill.load('nvidia')['sizes']]
SCOPES = {'nvidia_narrow': 'resnet50/', 'nvidia_resnext_narrow': 'resnext101-32x4d/',
          'nvidia_se_resnext_narrow': 'se-resnext101-32x4d/', 'nvidia_2019_narrow': 'resnet50_v1.5/'}
# The largest difference to TensorFlow 1.15, over the root mean square of its tensor. 4e-6 was measured.
LIMIT = 1e-5


@pytest.fixture(autouse=True)
def _networks(monkeypatch):
    narrow.register(monkeypatch)


@pytest.fixture(scope='module')
def goldens():
    with np.load(os.path.join(os.path.dirname(FOLDER), 'nvidia.npz')) as arrays:
        return dict(arrays)


def source(network):
    return os.path.join(FOLDER, network + '.ckpt')


def read(path):
    reader = tf.train.NewCheckpointReader(str(path))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def expected(goldens, network, size):
    """TensorFlow 1.15's results, by our end points below the scope."""
    prefix = '{}/{}x{}/'.format(network, *size)
    return {name[len(prefix):]: array for name, array in goldens.items() if name.startswith(prefix)}


@pytest.mark.parametrize('network', list(SCOPES))
def test_a_conversion_is_verified_at_every_unit_and_size(network, tmp_path):
    result = convert(source(network), tmp_path / 'a', network, verify=True)
    assert (result['num_classes'], result['source_format']) == (5, 'tensorflow V2')
    checked = result['verification']
    assert list(checked['end_points']) == [
        f'block{block}/unit_{unit}/bottleneck_v1' for block, unit in ((1, 1), (2, 1), (2, 2), (3, 1), (3, 2))] + [
            'global_pool', 'spatial_squeeze']
    assert all(1e-9 < error < LIMIT for error in checked['end_points'].values())
    assert (checked['with'], checked['judged']) == ('NumPy', ['65x65', '64x64', '67x96', '49x81'])


@pytest.mark.parametrize('network', list(SCOPES))
def test_the_reference_of_the_verification_computes_what_tensorflow_1_did(network, goldens):
    arrays = {name[len(SCOPES[network]):]: array for name, array in read(source(network)).items()}
    for size in SIZES:
        results = nvidia_forward.run(arrays, '2019' not in network, fill.images((2,) + size + (3,)))
        for name, array in expected(goldens, network, size).items():
            key = '.'.join(re.findall(r'(?:block|unit_)(\d+)', name)) or name
            assert fill.compare_array(results[key], array)['scaled'] < LIMIT, (size, name)


@pytest.mark.parametrize('network', list(SCOPES))
def test_all_weights_come_bit_by_bit_and_what_belongs_to_training_is_told(network, tmp_path):
    theirs, result = read(source(network)), convert(source(network), tmp_path / 'a', network, source_kind='nvidia')
    ours = read(tmp_path / 'a')
    assert ours.pop('global_step') == 0
    used = set()
    for name, array in ours.items():
        origin = nvidia_names.ORIGINS['2019' in network]
        other = SCOPES[network] + nvidia_names.nvidia_name(name.split('/', 1)[1], origin, 'resnext' in network)
        assert array.tobytes() == theirs[other].tobytes(), name
        used.add(other)
    left = set(theirs) - used
    assert left == {'global_step', 'current_loss_scale', 'good_steps'} | {
        name + '/Momentum' for name in used if '/moving_' not in name}
    assert result['num_variables'] == len(used)
    note, = [note for note in result['notes'] if 'left out' in note]
    assert note.startswith(f'{len(left)} arrays that are not of the network are left out: {len(left) - 3} Momentum, ')
    assert 'current_loss_scale, global_step, good_steps' in note


def changed(tmp_path, network='nvidia_narrow', rename=lambda name: name, **arrays):
    """A checkpoint with other names, and with some arrays in place of its own; None leaves one out."""
    held = read(source(network))
    held.update({SCOPES[network] + name.replace('__', '/'): array for name, array in arrays.items()})
    checkpoint.write(str(tmp_path / 'changed'), {
        rename(name): array for name, array in held.items() if array is not None})
    return tmp_path / 'changed'


def test_a_network_in_another_scope_or_with_a_last_convolution_is_the_same(tmp_path):
    convert(source('nvidia_narrow'), tmp_path / 'a', 'nvidia_narrow')
    kernel = read(source('nvidia_narrow'))['resnet50/output/dense/kernel']
    path = changed(tmp_path, rename=lambda name: 'detector/' + name, output__dense__kernel=kernel[None, None])
    result = convert(path, tmp_path / 'b', 'nvidia_narrow', verify=True)
    narrow.assert_equal(read(tmp_path / 'b'), read(tmp_path / 'a'))
    assert 'detector/global_step' in result['notes'][0]


def test_features_without_a_classifier_are_converted_and_verified(tmp_path):
    path = changed(tmp_path, output__dense__kernel=None, output__dense__bias=None,
                   output__dense__kernel__Momentum=None, output__dense__bias__Momentum=None)
    result = convert(path, tmp_path / 'a', 'nvidia_narrow', verify=True)
    assert result['num_classes'] == 0
    assert list(result['verification']['end_points'])[-1] == 'global_pool'


@pytest.mark.parametrize(('network', 'means', 'deviations'), [
    ('nvidia_narrow', [123.68, 116.28, 103.53], [58.395, 57.12, 57.385]),
    ('nvidia_2019_narrow', [123.68, 116.78, 103.94], [255, 255, 255])])
def test_the_preset_is_nvidias(network, means, deviations, tmp_path):
    result = convert(source(network), tmp_path / 'a', network)
    preset = preset_file.read(tmp_path / 'a')
    assert preset[1:3] == (224, 'vgg')
    assert preset.options == {'resize_side': 256, 'means': means, 'deviations': deviations, 'channel_order': 'RGB',
                              'interpolation': 'bilinear', 'crop': 'centre'}
    assert (preset.label_offset, preset.num_classes) == (0, 5)
    assert any('use_dali' in note for note in result['notes']) == ('2019' in network)
    # Another preprocessing has its own numbers.
    convert(source(network), tmp_path / 'b', network, preset_changes={'preprocessing': 'torchvision'})
    assert preset_file.read(tmp_path / 'b').options['means'] == [0.485, 0.456, 0.406]


def test_1001_classes_are_told_to_have_no_background(tmp_path):
    path = changed(tmp_path, output__dense__kernel=np.ones([64, 1001], np.float32),
                   output__dense__bias=np.ones(1001, np.float32))
    assert any('of the 1001 logits the last was never trained' in note
               for note in convert(path, tmp_path / 'a', 'nvidia_narrow')['notes'])
    assert preset_file.read(tmp_path / 'a')[4:6] == (0, 1001)


def test_one_error_lists_everything_and_nothing_is_written(tmp_path):
    path = changed(tmp_path, btlnck_block_1_0__bottleneck_2__BatchNorm__beta=None,
                   btlnck_block_2_7__bottleneck_1__conv2d__kernel=np.zeros([1, 1, 4, 4], np.float32),
                   btlnck_block_0_0__bottleneck_1__conv2d__kernel=np.zeros([1, 1, 8, 5], np.float32),
                   output__dense__bias=np.zeros([5, 1], np.float32), head__kernel=np.zeros(3, np.float32))
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ValueError, match='nvidia_narrow: 1 missing, 2 unexpected, 2 of another shape or type') as error:
        convert(path, tmp_path / 'a', 'nvidia_narrow')
    for text in ('block2/unit_1/bottleneck_v1/conv2/BatchNorm/beta (btlnck_block_1_0/bottleneck_2/BatchNorm/beta)',
                 'btlnck_block_2_7/bottleneck_1/conv2d/kernel', 'head/kernel', 'logits/biases must have 1 axes',
                 '[1, 1, 8, 5] in the file, [1, 1, 8, 4] in the network', 'Likely cause: another network'):
        assert text in str(error.value)
    assert sorted(os.listdir(tmp_path)) == before


def test_quantisation_aware_training_is_told(tmp_path):
    path = changed(tmp_path, conv2d__conv2d__weights_quant__min=np.float32(0))
    with pytest.raises(ValueError, match='1 unexpected(.|\n)*Likely cause: quantisation-aware training'):
        convert(path, tmp_path / 'a', 'nvidia_narrow')


@pytest.mark.parametrize(('held', 'network', 'arguments', 'message'), [
    ('nvidia_narrow', 'v15_narrow', {}, "NVIDIA's ConvNets are not those of v15_narrow.* networks for them are "
     'resnet_nvidia_50, resnext_nvidia_101_32x4d, se_resnext_nvidia_101_32x4d'),
    ('nvidia_narrow', 'nvidia_2019_narrow', {}, "NVIDIA's ConvNets are not those of nvidia_2019_narrow"),
    ('nvidia_2019_narrow', 'nvidia_narrow', {}, "NVIDIA's RN50v1.5 of 2019 are not those of nvidia_narrow.* are "
     'resnet_nvidia_50_2019'),
    ('nvidia_narrow', 'nvidia_resnext_narrow', {}, 'does not fit nvidia_resnext_narrow: 0 missing'),
    ('nvidia_resnext_narrow', 'nvidia_se_resnext_narrow', {}, r'20 missing(.|\n)*bottleneck_se_layer/dense_1'),
    ('nvidia_narrow', None, {}, "The network must be named.* is tensorflow V2 with NVIDIA's names"),
    ('nvidia_narrow', 'nvidia_narrow', {'source_kind': 'timm'}, 'weights of timm are not converted'),
    ('nvidia_narrow', 'nvidia_narrow', {'moving_averages': True}, "checkpoints of ours; .* with NVIDIA's names"),
    ('nvidia_narrow', 'nvidia_narrow', {'renames': ['resnet50=a']}, "checkpoints of ours; .* with NVIDIA's names"),
])
def test_mistakes_are_told_and_nothing_is_written(held, network, arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        convert(source(held), tmp_path / 'a', network, **arguments)
    assert os.listdir(tmp_path) == []


def test_a_checkpoint_with_other_names_is_not_nvidias(tmp_path):
    narrow.write_checkpoint(tmp_path / 'a', 'nvidia_narrow')
    with pytest.raises(ValueError, match='is tensorflow V2; weights of nvidia are not converted .*btlnck_block_0_0'):
        convert(tmp_path / 'a', tmp_path / 'b', 'nvidia_narrow', source_kind='nvidia')
    assert convert(tmp_path / 'a', tmp_path / 'b', 'nvidia_narrow')['notes'] == []


def test_a_copy_as_it_is_has_to_be_asked_for(tmp_path):
    convert(source('nvidia_narrow'), tmp_path / 'a', source_kind='slim')
    narrow.assert_equal(read(tmp_path / 'a'), read(source('nvidia_narrow')))


@pytest.mark.parametrize(('network', 'change'), [
    ('nvidia_narrow', {'padding': 'explicit'}), ('nvidia_narrow', {'root': 'slim'}),
    ('nvidia_narrow', {'root': 'padded'}), ('nvidia_2019_narrow', {'padding': 'SAME'}),
    ('nvidia_2019_narrow', {'root': 'padded'}), ('nvidia_se_resnext_narrow', {'strided_conv': 'conv1'})])
def test_verification_sees_another_function_of_the_same_weights(network, change, tmp_path, monkeypatch):
    row = nets_factory.NETWORKS[network]
    builder = resnet.network(network, row.builder.layout._replace(**change))
    builder.layout = row.builder.layout
    monkeypatch.setitem(nets_factory.NETWORKS, network, row._replace(builder=builder))
    with pytest.raises(ValueError, match='The verification failed, nothing was written'):
        convert(source(network), tmp_path / 'a', network, verify=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('network', list(SCOPES))
def test_inspection_tells_the_network(network):
    found = inspection.inspect(source(network), network)
    best = found['networks'][0]
    assert (best['network'], best['fits'], best['same_origin']) == (network, True, True)
    assert (found['num_classes'], found['slots'], found['step'], found['difference']) == (5, ['Momentum'], 900, None)
    assert not [other for other in found['networks'][1:] if other['same_origin'] and other['fits']]


def test_inspection_tells_what_differs(tmp_path):
    text = inspection.inspect(source('nvidia_2019_narrow'), 'nvidia_narrow')['difference']
    assert 'but it is of nvidia_2019_narrow, which computes something else' in text
    assert "padding is 'explicit' in nvidia_2019_narrow and 'SAME' in nvidia_narrow" in text
    path = changed(tmp_path, btlnck_block_1_0__bottleneck_2__BatchNorm__beta=None)
    text = inspection.inspect(path, 'nvidia_narrow')['difference']
    assert '1 missing' in text
    assert 'nvidia_narrow/block2/unit_1/bottleneck_v1/conv2/BatchNorm/beta' in text
    assert 'the checkpoint holds resnet50' not in text


def test_the_command_converts_verifies_and_tells_what_it_left(tmp_path, capsys):
    code = main.main(['convert', source('nvidia_2019_narrow'), str(tmp_path / 'a'), '--network=nvidia_2019_narrow',
                      '--source=nvidia', '--verify'])
    error = capsys.readouterr().err
    assert code == 0, error
    for text in ('Note: 62 arrays that are not of the network are left out: 59 Momentum', 'Note: Weights that were',
                 'Verified against NumPy: 7 end points'):
        assert text in error
    # What the note advises of is taken.
    assert main.main(['convert', source('nvidia_2019_narrow'), str(tmp_path / 'b'), '--network=nvidia_2019_narrow',
                      '--preset', 'means=[121,115,100]', '--preset', 'deviations=[70,68,71]']) == 0
    assert preset_file.read(tmp_path / 'b').options['deviations'] == [70, 68, 71]


def test_who_restores_nvidias_names_is_told_to_convert_them():
    with built.network('nvidia_narrow', 5) as graph, pytest.raises(ValueError, match='97 missing') as error:
        restore.restore_fn(source('nvidia_narrow'), list(graph.variables.values()))
    assert str(error.value).splitlines()[-1] == (
        "Likely cause: the names are those of NVIDIA's networks for TensorFlow 1. Convert it by nets convert SRC DST "
        "--network=resnet_nvidia_50 or another of NVIDIA's.")
