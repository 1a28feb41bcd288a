"""A network with its own graph and session, behind functions that take and return arrays."""

import collections
import os
import shutil

import numpy as np
import tensorflow.compat.v1 as tf

from nets.applications import network, summary, weights
from nets.checkpoints import whole_files
from nets.checkpoints.writers import checkpoint
from nets.inference import engines, fold

# What Keras would write to such a file.
_KERAS_ENDINGS = ('.h5', '.hdf5', '.keras')
# Engines that are kept for the next call; each has the weights once more.
_KEPT_ENGINES = 3


class Model:
    """An application, ready to run.

    It holds a graph and a session of its own, so that models disturb neither each other nor the default graph. Close
    it, or use it in a `with` statement, to free their memory. What `predict` and `features` run is the folded graph
    (see `nets.inference.fold`), which the first call makes of the weights, and the first one after others are loaded.

    Attributes:
        name: The application's name.
        end_points: Names of the tensors that `features` returns, in order. `resnet_keras_50/block2` may also be called
            `block2`.
    """

    def __init__(self, name, network_name, arguments, path):
        """Builds the network.

        Args:
            name: The application's name.
            network_name: Name of the network.
            arguments: `arguments.Arguments`.
            path: Weights to load, or None for random ones.

        Raises:
            ValueError: The weights cannot be read or do not fit.
        """
        self.name = name
        self._network = network_name
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._images = tf.placeholder(tf.float32, [None] + arguments.image_shape, name='images')
            self._built = network.build(network_name, self._images, arguments)
            initializer = tf.global_variables_initializer() if path is None else None
        self.end_points = list(self._built.end_points)
        self._session = tf.Session(graph=self._graph, config=fold.session_config())
        self._engines = collections.OrderedDict()
        try:
            if initializer is not None:
                self._session.run(initializer)
            else:
                self.load_weights(path)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        """Frees the session; the model cannot be used any more."""
        self._drop_engines(0)
        if self._session is not None:
            self._session.close()
        self._session = None

    def predict(self, images, batch_size=32, verbose='auto', engine='tensorflow'):
        """Runs the network.

        Args:
            images: `[number, height, width, channels]`, prepared by the family's `preprocess_input`: an array or
                whatever NumPy makes one of, numbers of any type.
            batch_size: Number of images to run at once.
            verbose: Whether to show the progress on a terminal; 'auto' does.
            engine: What computes: 'tensorflow', or 'onnxruntime' where it is installed.

        Returns:
            A float32 array: `[number, classes]` with a top; `[number, channels]` with a pooling; `[number, height / 32,
            width / 32, channels]` without.

        Raises:
            ValueError: `images` are not such, the engine is unknown, or the model is closed.
            ImportError: The engine's packages are not installed.
        """
        return self._run(self._built.output, images, batch_size, verbose, engine)

    def features(self, images, end_point, batch_size=32, verbose='auto', engine='tensorflow'):
        """Runs the network up to an end point.

        Args:
            images, batch_size, verbose, engine: As in `predict`.
            end_point: One of `end_points`, with or without the network's scope.

        Returns:
            A float32 array, `[number, …]`.

        Raises:
            ValueError: There is no such end point; otherwise as in `predict`.
        """
        tensors = self._built.end_points
        name = end_point if end_point in tensors else '{}/{}'.format(self._built.scope, end_point)
        if name not in tensors:
            raise ValueError('There is no end point {!r}; there are {}.'.format(end_point, ', '.join(tensors)))
        return self._run(tensors[name], images, batch_size, verbose, engine)

    def summary(self, print_fn=print):
        """Prints the units and layers of the network, with shapes, parameters and multiply-adds, and the totals.

        Args:
            print_fn: Function that is called with the whole text.
        """
        print_fn(summary.table('{} ({})'.format(self.name, self._network), self._graph, self._built.scope,
                               self._images, self._built.end_points))

    def save(self, path):
        """Writes the weights as a checkpoint, whole or not at all: one of slim's, for `tf.train.Saver`.

        Args:
            path: The checkpoint's prefix, such as `model.ckpt`; its directory is made if need be.

        Raises:
            ValueError: It cannot be written there, or the model is closed; the message says why.
        """
        path = os.fspath(path)
        if path.endswith(_KERAS_ENDINGS):
            raise ValueError('A checkpoint is written, which Keras does not read; got the path {}. Name it otherwise, '
                             'such as model.ckpt; `nets convert` makes a .weights.h5 of it.'.format(path))
        arrays = self._open_session().run(self._built.variables)
        path = whole_files.destination_of(path)
        try:
            with whole_files.aside(path) as aside:
                checkpoint.write(aside, {'{}/{}'.format(self._network, name): array
                                         for name, array in arrays.items()})
        except OSError as error:
            raise ValueError('The checkpoint {} cannot be written: {}. Name a place that can be written to.'.format(
                path, error.strerror or error)) from error

    def load_weights(self, path):
        """Loads weights.

        Args:
            path: A checkpoint of slim's, such as `save` or training writes, or a file of Keras: `.h5`, `.weights.h5` or
                `.keras`.

        Raises:
            ValueError: There is none, it cannot be read or does not fit, or the model is closed; the message lists
                everything that differs. The model keeps its weights then.
        """
        weights.load(os.fspath(path), self._network, self._built.variables, self._open_session())
        self._drop_engines(0)

    def _open_session(self):
        if self._session is None:
            raise ValueError('The model {} is closed. Make a new one.'.format(self.name))
        return self._session

    def _engine(self, name, tensor):
        """An engine for a tensor, with the weights that there are now."""
        key = name, tensor.name
        if key not in self._engines:
            self._drop_engines(_KEPT_ENGINES - 1)
            self._engines[key] = engines.of_session(name, self._open_session(), self._images, {'result': tensor})
        self._engines.move_to_end(key)
        return self._engines[key]

    def _drop_engines(self, kept):
        """Closes engines but some that were used last."""
        while len(self._engines) > kept:
            self._engines.popitem(last=False)[1].close()

    def _run(self, tensor, images, batch_size, verbose, engine):
        """Runs the network up to a tensor on one batch after the other."""
        self._open_session()
        images = self._checked(images)
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError('batch_size must be a whole number from 1; got {!r}.'.format(batch_size))
        from tqdm import tqdm
        compute, results = self._engine(engine, tensor), []
        with tqdm(total=len(images), desc=self.name, unit='image', ncols=shutil.get_terminal_size().columns,
                  disable=None if verbose else True) as bar:  # None: where there is no terminal
            for start in range(0, max(len(images), 1), batch_size):
                batch = np.asarray(images[start:start + batch_size], np.float32)
                results.append(compute(batch)['result'])
                bar.update(len(batch))
        return results[0] if len(results) == 1 else np.concatenate(results)

    def _checked(self, images):
        """The images, if they can be run; what has a shape is not copied here, as it may be larger than the memory."""
        if not isinstance(getattr(images, 'dtype', None), np.dtype):
            images = np.asarray(images)
        wanted = self._images.shape
        if not wanted.is_compatible_with(tuple(images.shape)):
            raise ValueError('images must have the shape [number, height, width, channels], here {}; got {}. One image '
                             'is image[np.newaxis].'.format(_show(wanted), _show(tf.TensorShape(images.shape))))
        if np.dtype(images.dtype).kind not in 'uif':
            raise ValueError('images must be whole numbers or floats; got {}.'.format(images.dtype))
        return images


def _show(shape):
    return '[{}]'.format(', '.join('?' if size is None else str(size) for size in shape.as_list()))
