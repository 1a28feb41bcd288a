"""Features of many images into a file, in a run that may be killed and started again."""

import contextlib
import logging
import os
import shutil
import sys
import time

from tqdm import tqdm

import nets
from nets.checkpoints import renames
from nets.inference import extractor as extractors
from nets.inference import images, outputs, resume, weights

logger = logging.getLogger(__name__)

_BAR = '{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]'


def extract(network, checkpoint, images_spec, output, overwrite=False, **options):
    """Computes features of images and writes them to a file.

    Until it is complete, the rows are in `OUTPUT.partial`; the same call goes on with them.

    Args:
        network: str, a name of `nets_factory.NETWORKS`; None for that of the preset beside the checkpoint.
        checkpoint: str, as `restore.find_checkpoint` takes it.
        images_spec: str, as `nets.inference.images.find` takes it.
        output: str, path of the file; its ending, of `nets.inference.outputs.SUFFIXES`, says which kind.
        overwrite: bool, whether to replace an existing file and to drop rows of another call.
        **options: further arguments of `nets.inference.extractor.FeatureExtractor`.

    Returns:
        A dict: `output`, `num_images`, `num_rows`, `num_resumed` (images done by an earlier run), `corrupt` (a list of
        `[name, reason]`), `end_points` (from name to the shape of a row), `dtype`, `checkpoint`, `image_size`,
        `preprocessing`, and `seconds` and `images_per_second` of this run.

    Raises:
        ValueError: If something is unknown or not as it should be, or no image can be decoded.
        ImportError: If the kind of file needs a package that is not installed.
    """
    source = images.find(images_spec)
    write = outputs.writer(output, dict.fromkeys(options.get('end_points', ('global_pool',))))
    resume.check_output(output)
    with contextlib.ExitStack() as stack:
        extractor = stack.enter_context(extractors.FeatureExtractor(network, checkpoint, **options))
        shapes = extractor.row_shapes()
        partial = stack.enter_context(resume.Partial(
            output, _call(extractor, source, images_spec, options), shapes, extractor.dtype, overwrite))
        if partial.num_resumed:
            logger.info('Going on after %d of %d images.', partial.num_resumed, len(source))
        begun_at = time.monotonic()
        try:
            _fill(partial, extractor, source)
            seconds = time.monotonic() - begun_at
            _check(partial, source, images_spec)
            partial.finish(write)
        except OSError as error:  # such as a full disk
            raise ValueError(f'{output} cannot be written to: {error.strerror or error}. The rows so far are kept; the '
                             'same call goes on with them.') from error
    return {
        'output': output,
        'num_images': partial.num_images,
        'num_rows': partial.num_rows,
        'num_resumed': partial.num_resumed,
        'corrupt': partial.corrupt,
        'end_points': {name: list(shape) for name, shape in shapes.items()},
        'dtype': extractor.dtype,
        'checkpoint': extractor.weights.checkpoint,
        'image_size': extractor.weights.preset.image_size,
        'preprocessing': extractor.weights.preset.preprocessing,
        'seconds': round(seconds, 3),
        'images_per_second': round((partial.num_images - partial.num_resumed) / max(seconds, 1e-9), 3),
    }


def _call(extractor, source, images_spec, options):
    """All that the rows depend on; rows of another call are not gone on with."""
    wanted = extractor.weights
    return {
        'nets': nets.__version__,
        'network': wanted.network,
        'checkpoint': [os.path.abspath(wanted.checkpoint), weights.fingerprint(wanted.checkpoint)],
        'moving_averages': bool(options.get('moving_averages')),
        'renames': renames.parse(options.get('renames', ())),
        'engine': options.get('engine', 'tensorflow'),
        'image_size': wanted.preset.image_size,
        'preprocessing': [wanted.preset.preprocessing, wanted.preset.options],
        'spatial_average': bool(options.get('spatial_average')),
        'images': [images_spec, len(source), source.fingerprint()],
    }


def _fill(partial, extractor, source):
    """Computes the rows that are missing."""
    # tqdm itself takes the size 0 of a terminal that does not tell for the room that there is.
    columns, rows = shutil.get_terminal_size()
    with tqdm(total=len(source), initial=partial.num_images, desc='extracting', unit=' images', bar_format=_BAR,
              ncols=columns, nrows=rows, disable=not sys.stderr.isatty()) as bar:
        for batch, features in extractor.batches(source, start=partial.num_images):
            names = [name for place, name in enumerate(batch.names) if place not in batch.corrupt]
            corrupt = [(batch.names[place], reason) for place, reason in sorted(batch.corrupt.items())]
            partial.append(names, corrupt, features)
            bar.update(len(batch.names))


def _check(partial, source, images_spec):
    """Raises a ValueError if not every image came once, or none has a row."""
    if partial.num_images != len(source):
        raise ValueError(f'{partial.num_images} images came, where {images_spec!r} names {len(source)}. Did files '
                         'change meanwhile?')
    if not partial.num_rows:
        name, reason = partial.corrupt[0]
        raise ValueError(f'None of the {partial.num_images} images can be decoded. The first is {name!r}: {reason}.')
