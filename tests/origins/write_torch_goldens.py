"""Stores what torch makes of the networks of torch_reference.py; see ../goldens/README.md.

Run as `PYTHONPATH=tests:. python tests/origins/write_torch_goldens.py`, with torch installed. TensorFlow is not needed.
"""

import json
import os

import numpy as np
import torch
import torch_reference
from goldens import fill

from nets.checkpoints import torch_names

FOLDER = os.path.dirname(os.path.abspath(fill.__file__))
THOROUGH = ('resnet_v15_18', 'resnet_v15_34', 'resnet_v15_50', 'resnext_50_32x4d', 'se_resnext_50_32x4d',
            'wide_resnet_50_2')
FULL = ('resnet_v15_18', 'resnet_v15_50', 'resnext_50_32x4d')
TRAINED = ('resnet_v15_18', 'resnet_v15_50', 'resnext_50_32x4d', 'se_resnext_50_32x4d')
DECAY = 0.997  # of moving averages: the default of resnet_arg_scope


def cases():
    """Yields network, widths of the layers and size of the images of each case."""
    for net in torch_reference.NETWORKS:
        for size in ((64, 64), (65, 65), (64, 81)) if net in THOROUGH else ((64, 65),):
            yield net, narrow(net), size
    for net in THOROUGH:
        # The size that the networks were published for, and one of which every half is odd.
        for size in ((224, 224), (225, 225)) if net in FULL else ((64, 65),):
            yield net, torch_reference.PLANES, size


def narrow(net):
    """Narrow widths of the layers; those of 32x4d and 64x4d leave the groups of the first layer one channel."""
    return (16, 32, 48, 64) if net.endswith('x4d') else (8, 16, 24, 32)


def inference(net, planes, size, arrays):
    """A case of inference as the JSON file has it; adds its arrays to `arrays`."""
    full = planes == torch_reference.PLANES
    case, model, images = start('{}_{}_{}x{}'.format(net, 'full' if full else 'narrow', *size), net, planes,
                                [1 if full else 2, *size, 3], 1000 if full else 10)
    return dict(case, **results(case['name'], torch_reference.run(model.eval(), images), arrays))


def training(net, arrays):
    """A case of training, likewise; gradients and statistics have our names and axes."""
    case, model, images = start(net + '_training', net, narrow(net), [4, 65, 65, 3], 10)
    values, gradients, moving = torch_reference.train(model, images, DECAY)
    tables = {key: table(case['name'] + '/' + key, torch_names.from_state_dict(state), arrays, 4)
              for key, state in (('gradients', gradients), ('moving', moving))}
    return dict(case, decay=DECAY, **results(case['name'], values, arrays), **tables)


def start(name, net, planes, shape, num_classes):
    """What all cases have, the filled model and its images."""
    model = torch_reference.ResNet(net, num_classes, planes)
    torch_reference.fill_model(model)
    case = {'name': name, 'net': net, 'planes': planes, 'num_classes': num_classes,
            'input': {'shape': shape, 'seed': 0}}
    return case, model, fill.images(**case['input'])


def results(name, values, arrays):
    """Logits and blocks."""
    values = dict(values)
    arrays[name + '/output'] = values.pop('logits')
    return {'output': {'npz': name + '/output'}, 'end_points': table(name, values, arrays, fill.FINGERPRINT_SIZE)}


def table(name, values, arrays, count):
    """Fingerprints of many arrays, as `fill.end_points` reads them."""
    prints = [fill.fingerprint(key, array, count) for key, array in values.items()]
    arrays[name + '/statistics'] = np.array([[print_[key] for key in ('mean', 'std', 'l2')] for print_ in prints])
    arrays[name + '/values'] = np.array([print_['values'] for print_ in prints])
    return {'names': list(values), 'shapes': [print_['shape'] for print_ in prints],
            'statistics': {'npz': name + '/statistics'}, 'values': {'npz': name + '/values'}}


def main():
    """Writes torch.json and torch.npz."""
    arrays = {}
    sections = {'cases': [inference(*case, arrays) for case in cases()],
                'training': [training(net, arrays) for net in TRAINED]}
    lines = [' "made_with": ' + json.dumps({'torch': torch.__version__, 'numpy': np.__version__})]
    lines += [' {}: [\n  {}\n ]'.format(json.dumps(key), ',\n  '.join(map(json.dumps, section)))
              for key, section in sections.items()]
    with open(os.path.join(FOLDER, 'torch.json'), 'w', encoding='utf-8') as stream:
        stream.write('{\n' + ',\n'.join(lines) + '\n}\n')
    np.savez_compressed(os.path.join(FOLDER, 'torch.npz'), **arrays)
    print({key: len(section) for key, section in sections.items()})


if __name__ == '__main__':
    main()
