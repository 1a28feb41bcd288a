"""Stores what TensorFlow 1.15 makes of the batch normalisation cases.

Run as `python3.7 tests/slim_compat/write_goldens.py`, with TensorFlow 1.15 and tf-slim 1.1.0 installed.
"""

import json
import os

import numpy as np
import tensorflow.compat.v1 as tf
from batch_norm_cases import CASES
from batch_norm_runs import SLIM, run

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'goldens')


def flatten(numbers):
    """All numbers of a dict of arrays in one vector, in the order of the sorted keys."""
    return np.concatenate([np.ravel(numbers[key]) for key in sorted(numbers)])


def _golden(name, arrays):
    """The structure of a case, or the error of building it; adds its numbers to `arrays`."""
    try:
        structure, numbers = run(name, SLIM)
    except (TypeError, ValueError) as error:
        return {'error': type(error).__name__, 'message': str(error)}
    try:
        arrays[name] = flatten(numbers())
    except tf.errors.OpError as error:  # It can be built and not run: there is no kernel for it on a CPU.
        structure['cannot_run'] = f'{type(error).__name__}: {str(error).splitlines()[0]}'
    return structure


def main():
    """Writes batch_norm.json and batch_norm.npz."""
    if not tf.__version__.startswith('1.15.'):
        raise SystemExit(f'The goldens come from TensorFlow 1.15; this is {tf.__version__}.')
    arrays = {}
    structures = {name: _golden(name, arrays) for name in CASES}
    with open(os.path.join(FOLDER, 'batch_norm.json'), 'w') as stream:
        lines = (json.dumps(name) + ': ' + json.dumps(structures[name], sort_keys=True) for name in structures)
        stream.write('{\n' + ',\n'.join(lines) + '\n}\n')
    np.savez_compressed(os.path.join(FOLDER, 'batch_norm.npz'), **arrays)
    print(f'{len(structures)} cases, {len(arrays)} arrays')


if __name__ == '__main__':
    main()
