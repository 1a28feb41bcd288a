"""What of NVIDIA's checkpoints is converted, how their images are prepared, and what there is to know about them."""

import collections

import numpy as np

from nets.checkpoints import nvidia_names

# Of ConvNets/utils/data_utils.py (the last deviation is 57.385 there, not 57.375) and RN50v1.5/utils/data_utils.py.
# Images are prepared as by `vgg`, short side of 256 pixels and crop of the centre, but for the long side, which is cut
# to whole pixels where `vgg` rounds it, and for JPEGs, which are decoded faster and less exactly.
_PRESETS = {
    'nvidia': {'preprocessing': 'vgg', 'means': [123.68, 116.28, 103.53], 'deviations': [58.395, 57.12, 57.385]},
    'nvidia_2019': {'preprocessing': 'vgg', 'means': [123.68, 116.78, 103.94], 'deviations': [255., 255., 255.]},
}
# RN50v1.5/utils/dali_utils.py; in ConvNets DALI has the numbers above.
_DALI = ('Weights that were trained with --use_dali want other numbers: --preset means=[121,115,100] '
         '--preset deviations=[70,68,71].')
# ConvNets/main.py and utils/image_processing.py: labels are slim's less 1.
_CLASSES = 'Classes are numbered from 0, without a background class: of the 1001 logits the last was never trained.'
_SHOWN = 20


def preset_of(origin):
    """The values of a preset that an origin has, by the name of the origin; none for other origins than NVIDIA's."""
    return _PRESETS.get(origin, {})


def read(weights):
    """Reads a network of NVIDIA's, and leaves what else there is: momenta, loss scale and step, or other networks.

    Args:
        weights: `readers.base.Weights` in which `nvidia_names.find` finds one.

    Returns:
        A dict from name below the network's scope to array, and a list of notes for the user.
    """
    origin, scope = nvidia_names.find(weights.shapes)
    names, others = nvidia_names.split(weights.shapes, scope)
    arrays = {name[len(scope):]: weights.read(name) for name in names}
    notes = [_left_out(others)] if others else []
    notes += [_CLASSES] * (np.shape(arrays.get('output/dense/bias')) == (1001,))
    return arrays, notes + [_DALI] * (origin == 'nvidia_2019')


def _left_out(names):
    """Says which names are left out: slots of an optimizer by their number, others by name."""
    slots = collections.Counter(filter(None, map(nvidia_names.slot_of, names)))
    plain = [name for name in names if not nvidia_names.slot_of(name)]
    listed = [f'{count} {slot}' for slot, count in slots.items()] + plain[:_SHOWN]
    more = f' and {len(plain) - _SHOWN} more' if len(plain) > _SHOWN else ''
    return f'{len(names)} arrays that are not of the network are left out: {", ".join(listed)}{more}.'
