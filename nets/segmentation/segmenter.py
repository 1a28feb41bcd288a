"""The classes of an image's pixels, by a trained network: images of any size in, probabilities and features out.

What runs is the folded network (see `nets.inference.fold`).

    with Segmenter(InferenceConfig('run1')) as segmenter:
        classes = segmenter.classes(image)  # uint8 [height, width, 3] in, int [height, width] out
"""

import collections
import contextlib

import numpy as np
import tensorflow.compat.v1 as tf

from nets.checkpoints import restore
from nets.dense.layers import resize_bilinear
from nets.inference import fold
from nets.inference import graph as graphs
from nets.segmentation import model_file, tiles
from nets.training import inputs

_NETWORK = 'network'  # scope of the folded network
_LOGITS = 'logits'

# What runs on one image: placeholders and tensors. size: of the scaled image. padded: the scaled image, standardised
# and padded; may be fed. network: dict from name to tensor of the padded image. probabilities: of the image's pixels.
_Run = collections.namedtuple('_Run', (
    'image', 'size', 'mirrored', 'standardised', 'padded', 'network', 'probabilities'))


class Segmenter:
    """A network with the weights of a checkpoint.

    Attributes:
        checkpoint: Its prefix.
        model: The `model_file.Model` beside it.
        by_tiles: Function that finds the classes of an image by tiles, or None.
        end_points: Names of the end points that `features` gives.
    """

    def __init__(self, config, end_points=()):
        """Builds, restores and folds.

        Args:
            config: An `InferenceConfig`.
            end_points: Names of end points that `features` shall give; None for the last one before the logits.

        Raises:
            ValueError: There is no such checkpoint or end point, or the checkpoint does not fit its model.
        """
        self.checkpoint = restore.find_checkpoint(config.checkpoint_path)
        self.model = model_file.read(self.checkpoint)
        self._config = config
        session_config = inputs.session_config(config.clone_on_cpu)
        folded, self.end_points = _folded(self, config, end_points, session_config)
        with tf.Graph().as_default() as graph:
            weights = folded.nodes.weights()
            self._run = _build(self.model, folded, weights)
        self._session = tf.Session(graph=graph, config=session_config)
        fold.assign(self._session, weights, _NETWORK + '/')
        self.by_tiles = config.tile_size and tiles.class_map_fn(self.model, self._session, self._run, config.tile_size)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Frees the network."""
        self._session.close()

    def probabilities(self, image):
        """The probabilities of the classes of each pixel, means over the scales and mirrored images.

        Args:
            image: uint8 `[height, width, 3]`, RGB.

        Returns:
            float32 `[height, width, classes]`.

        Raises:
            ValueError: The network gives no numbers.
        """
        total, count = 0, 0
        for scale in self._config.scales:
            for mirrored in (False, True)[:1 + self._config.flip]:
                total = total + self._session.run(self._run.probabilities, self._feed(image, scale, mirrored))
                count += 1
        if not np.isfinite(total).all():
            raise ValueError(f'The network of {self.checkpoint} gives probabilities that are no numbers (NaN); its '
                             'weights are damaged. Use another checkpoint.')
        return total / count

    def classes(self, image, progress=None):
        """The likeliest class of each pixel, by tiles if the configuration has a size of them.

        Args:
            image: As of `probabilities`.
            progress: With tiles, a function `(number of tiles that are done, number of tiles)`.

        Returns:
            uint8 `[height, width]`, or another type of integers where there are more than 256 classes.
        """
        if self.by_tiles:
            return self.by_tiles(image, progress)
        found = self.probabilities(image).argmax(2)
        return found.astype(np.uint8 if len(self.model.class_names) <= 256 else np.uint16)

    def features(self, image):
        """The end points, as they are for the padded image.

        Args:
            image: As of `probabilities`.

        Returns:
            Dict from name to a pair: float32 `[height', width', depth]`, and the share of its height and width that
            shows the image; the rest is padding at the bottom and right.
        """
        wanted = {name: self._run.network[name] for name in self.end_points}
        found, padded = self._session.run((wanted, self._run.padded), self._feed(image, 1, False))
        shares = image.shape[0] / padded.shape[1], image.shape[1] / padded.shape[2]
        return {name: (array[0], shares) for name, array in found.items()}

    def _feed(self, image, scale, mirrored):
        size = [max(1, round(length * scale)) for length in image.shape[:2]]
        return {self._run.image: image, self._run.size: size, self._run.mirrored: mirrored}


def _folded(segmenter, config, end_points, session_config):
    """The folded network, with the wanted end points and what tiles need, and the names of the end points."""
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, None, None, 3], name=fold.IMAGES)
        network_fn = model_file.network_fn(segmenter.model)
        logits, known = network_fn(images)
        last = [name for name in known if name.split('/')[0] not in network_fn.class_scopes][-1]
        end_points = [last if name is None else name for name in end_points]
        for name in end_points:
            if name not in known:
                raise ValueError(graphs.no_end_point(name, known))
        load = restore.restore_fn(segmenter.checkpoint, tf.model_variables(),
                                  moving_averages=config.moving_average_decay is not None)
        tensors = collections.OrderedDict(((name, known[name]) for name in end_points), **tiles.means(graph))
        tensors[_LOGITS] = logits
    with contextlib.closing(tf.Session(graph=graph, config=session_config)) as session:
        load(session)
        return fold.fold_session(session, images, tensors), end_points


def _build(model, folded, weights):
    """Puts the folded network between an image and its probabilities, in the current graph; a `_Run`.

    The weights, names among the constants, are variables without values; see `fold.folded_session`.
    """
    image = tf.placeholder(tf.uint8, [None, None, 3])
    size = tf.placeholder(tf.int32, [2])
    mirrored = tf.placeholder(tf.bool, [])
    standardised = model_file.standardise_fn(model)(image)
    net = resize_bilinear(standardised[tf.newaxis], tf.unstack(size))
    # Maps of images of a multiple of the strides plus 1 lie on each other.
    bottom, right = tf.unstack((1 - size) % model.output_stride)
    padded = tf.pad(_mirrored(net, mirrored), [[0, 0], [0, bottom], [0, right], [0, 0]])
    names = list(folded.end_points)
    tensors = dict(zip(names, tf.import_graph_def(
        folded.nodes.graph_def(weights), {folded.images + ':0': padded},
        [folded.end_points[name] + ':0' for name in names], name=_NETWORK), strict=True))
    net = resize_bilinear(tensors[_LOGITS], tf.unstack(tf.shape(padded)[1:3]))[:, :size[0], :size[1]]
    net = resize_bilinear(_mirrored(net, mirrored), tf.unstack(tf.shape(image)[:2]))
    return _Run(image, size, mirrored, standardised, padded, tensors, tf.nn.softmax(net)[0])


def _mirrored(net, mirrored):
    return tf.cond(mirrored, lambda: net[:, :, ::-1], lambda: net)

