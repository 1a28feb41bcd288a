"""What a segmentation's weights belong to, as JSON beside them: network, head, classes and how pixels are prepared.

Training writes `segmentation.json` to its directory; it holds for all checkpoints there, and for that in `best/`. The
file of `dir/model.ckpt-5` alone is `dir/model.ckpt-5.segmentation.json`.

    model = model_file.read('run1')
    logits, end_points = model_file.network_fn(model)(images)
"""

import collections
import json
import os

from nets import atomic_file
from nets.checkpoints import restore
from nets.data import preprocessing
from nets.data.segmentation import label_images
from nets.dense import model as dense

DIRECTORY_FILE = 'segmentation.json'
SUFFIX = '.' + DIRECTORY_FILE
_BEST = 'best'

# network: a name of `nets_factory`. head, output_stride, multi_grid, head_options, backbone_options: see
# `nets.dense.model.get_network_fn`. class_names: a tuple of as many as there are classes. palette: a colour, three
# numbers from 0 to 255, for each. ignore_label: an int. preprocessing: a name of `nets.data.preprocessing`. options:
# its `means`, `deviations` and `channel_order`, as far as they are not its own.
Model = collections.namedtuple('Model', (
    'network', 'head', 'output_stride', 'multi_grid', 'head_options', 'backbone_options', 'class_names', 'palette',
    'ignore_label', 'preprocessing', 'options'))


def default_palette(num_classes):
    """The colours of VOC, which repeat after 256 classes: a list of lists of three ints."""
    colours = label_images.voc_palette()
    return [colours[number % len(colours)].tolist() for number in range(num_classes)]


def network_fn(model, **kwargs):
    """The network of a `Model`.

    Args:
        model: A `Model`.
        **kwargs: What training adds; see `nets.dense.model.get_network_fn`.

    Returns:
        What that returns.

    Raises:
        ValueError: A name or a value is not allowed.
    """
    return dense.get_network_fn(
        model.network, model.head, len(model.class_names), model.output_stride, multi_grid=model.multi_grid or None,
        backbone_options=model.backbone_options, **kwargs, **model.head_options)


def check(model):
    """Checks that every value of a `Model` can be honoured, and returns it.

    Raises:
        ValueError: A value cannot be; the message says what can.
    """
    names = model.class_names
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f'class_names must be a list of strings, one at least; got {str(names)[:80]}.')
    if len(model.palette) != len(names) or not all(
            len(colour) == 3 and all(isinstance(one, int) and 0 <= one < 256 for one in colour)
            for colour in model.palette):
        raise ValueError(f'palette must be a list of {len(names)} colours, three numbers from 0 to 255 each; got '
                         f'{str(model.palette)[:80]}.')
    network_fn(model)
    standardise_fn(model)
    return model


def standardise_fn(model):
    """The function from pixels, 0-255, to what the network sees; see `preprocessing.get_standardisation`."""
    return preprocessing.get_standardisation(model.preprocessing, **model.options)


def write(directory, model):
    """Writes the file of a directory; readers see the old one or the whole new one.

    Args:
        directory: The directory of a run.
        model: A `Model`.

    Returns:
        The path of the file.
    """
    path = os.path.join(directory, DIRECTORY_FILE)
    with atomic_file.writing(path) as file:
        json.dump(check(model)._asdict(), file, indent=1, ensure_ascii=False)
        file.write('\n')
    return path


def find(checkpoint):
    """The path of the file of a checkpoint, a prefix; None if it has none."""
    folder = os.path.dirname(checkpoint)
    paths = [checkpoint + SUFFIX, os.path.join(folder, DIRECTORY_FILE)]
    if os.path.basename(os.path.abspath(folder)) == _BEST:
        paths.append(os.path.join(folder, os.pardir, DIRECTORY_FILE))
    return next((path for path in paths if os.path.exists(path)), None)


def read(path):
    """Reads the model of a checkpoint.

    Args:
        path: The checkpoint's prefix, one of its files, or a directory; see `restore.find_checkpoint`.

    Returns:
        A `Model`.

    Raises:
        ValueError: There is no checkpoint, it has no such file, or that is damaged or cannot be honoured.
    """
    prefix = restore.find_checkpoint(path)
    found = find(prefix)
    if found is None:
        raise ValueError(f'There is no {DIRECTORY_FILE} beside {prefix}, which says what network and classes the '
                         'weights are of: `nets segment train` writes it. Name a checkpoint of such a run.')
    return read_file(found)


def read_file(path):
    """Reads a model's own file; otherwise as `read`."""
    try:
        with open(path, encoding='utf-8') as file:
            fields = json.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(f'The model {path} cannot be read: {error}.') from error
    if not isinstance(fields, dict) or set(fields) != set(Model._fields):
        found = ', '.join(map(repr, fields)) if isinstance(fields, dict) else repr(fields)[:80]
        raise ValueError(f'The model {path} must be a JSON object of {", ".join(Model._fields)}; got {found}.')
    try:
        return check(Model(**dict(fields, class_names=tuple(fields['class_names']))))
    except (ValueError, TypeError) as error:
        raise ValueError(f'The model {path} cannot be honoured: {error}') from error
