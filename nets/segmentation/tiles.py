"""The classes of large images, a tile at a time; see `nets.dense.tiling`."""

import numpy as np
import tensorflow.compat.v1 as tf

from nets.dense import graph_field, tiling
from nets.segmentation import model_file

# The operation of heads that take the mean of the features over the image, and what it is called among the tensors.
MEAN, FEATURES = 'image_mean', 'image_mean/features'
_FIELD_SIZE = 257


def means(graph):
    """The mean of the features over the image, and the features, if the head in a graph has it; a dict."""
    found = [op for op in graph.get_operations() if op.name.split('/')[-1] == MEAN]
    return {MEAN: found[0].outputs[0], FEATURES: found[0].inputs[0]} if found else {}


class _Tiler(tiling.Tiler):
    """Pads all images, as they are padded in one piece."""

    def padded(self, size):
        return size + (1 - size) % self._field.alignment


def class_map_fn(model, session, run, tile_size):
    """Makes the function that finds the classes of an image tile by tile, the same as in one piece.

    Args:
        model: A `model_file.Model`.
        session: A session.
        run: What runs in it, as `segmenter` builds it.
        tile_size: Pixels of a tile's height and width.

    Returns:
        A function from an image, uint8 `[height, width, 3]`, and a function `(tiles that are done, tiles)` or None, to
        the classes, `[height, width]`.

    Raises:
        ValueError: The head pools over the image in another way than by one mean.
    """
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [1, _FIELD_SIZE, _FIELD_SIZE, 3])
        logits, _ = model_file.network_fn(model)(images)
        found = means(graph)
        field = graph_field.of_graph(images, logits)
        features_field = graph_field.of_graph(images, found[FEATURES]) if found else None
    if not (field.is_bounded or found):
        raise ValueError(f'tile_size does not go with the head {model.head!r}, which pools parts of the whole image '
                         'together: a tile is not the whole image. Leave it out.')

    def tiler(name, field, fed):
        def run_fn(tile):
            return session.run(run.network[name], {run.padded: tile, **fed})

        return _Tiler(run_fn, field, tile_size, preprocess=lambda pixels: session.run(
            run.standardised, {run.image: pixels}))

    def class_map(image, progress=None):
        fed = {}
        if found:  # in a first pass
            mean = tiler(FEATURES, features_field, {}).mean(image, progress)
            fed = {run.network[MEAN]: np.float32(mean).reshape(1, 1, 1, -1)}
        return tiler('logits', field.local() if found else field, fed).class_map(image, progress=progress)

    return class_map
