"""What comes with weights published for ImageNet: where they are, how images are prepared, what the classes are."""

import collections
import contextlib
import os

import numpy as np
import tensorflow.compat.v1 as tf

from nets.checkpoints import convert, formats

# A file of weights: its name, URL and MD5 hash.
File = collections.namedtuple('File', ['name', 'url', 'md5'])

_URL = 'https://storage.googleapis.com/tensorflow/keras-applications/resnet/'
_CLASSES = File('imagenet_class_index.json',
                'https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json',
                'c2c37ea517e94d9795004a39431a14cb')
_CACHE_SUBDIR = 'models'

# Means and deviations of ImageNet's images, in the order of the network's channels.
_BGR_MEANS = [103.939, 116.779, 123.68]
_RGB_MEANS, _RGB_DEVIATIONS = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_DATA_FORMATS = (None, 'channels_last', 'channels_first')


def published(name, md5_with_top, md5_without_top, url=_URL):
    """The files of a network's published weights: a dict from whether the top is included to `File`."""
    files = {}
    for include_top, md5 in ((True, md5_with_top), (False, md5_without_top)):
        file = '{}_weights_tf_dim_ordering_tf_kernels{}.h5'.format(name, '' if include_top else '_notop')
        files[include_top] = File(file, url + file, md5)
    return files


def fetch(file, network):
    """Fetches published weights unless they are in Keras' cache, and converts them once.

    Args:
        file: `File`.
        network: Name of the network of ours that they are for.

    Returns:
        A path: the checkpoint beside the file in the cache, or the file itself if nothing can be written there.

    Raises:
        OSError: The file cannot be fetched; the message says from where, and where to put it by hand.
        ValueError: The file is not what it should be.
    """
    import keras
    with _explained(file):
        path = keras.utils.get_file(file.name, file.url, cache_subdir=_CACHE_SUBDIR, file_hash=file.md5)
    # The hash is a part of the name, so that a checkpoint is never that of another file.
    checkpoint = '{}.{}.ckpt'.format(path[:-len('.h5')], file.md5[:8])
    if not _is_whole(checkpoint):
        try:
            convert.convert(path, checkpoint, network, overwrite=True)
        except OSError:
            return path
    return checkpoint


@contextlib.contextmanager
def _explained(file):
    """Turns whatever Keras raises, in want of a network, into an error that says what to do."""
    try:
        yield
    except Exception as error:  # Keras has no narrower one
        cache = os.path.expanduser(os.environ.get('KERAS_HOME') or os.path.join('~', '.keras'))
        raise OSError('{} cannot be fetched ({}). Download it where there is a network, and put it to {}; its MD5 hash '
                      'must be {}.'.format(file.url, ' '.join(str(error).split()),
                                           os.path.join(cache, _CACHE_SUBDIR, file.name), file.md5)) from error


def _is_whole(checkpoint):
    """Whether there is a checkpoint, all of which can be read."""
    try:
        with formats.open_weights(checkpoint) as weights:
            for name in weights.shapes:
                weights.read(name)
    except ValueError:
        return False
    return True


def decode_predictions(preds, top=5):
    """The likeliest classes of ImageNet.

    Args:
        preds: `[number of images, 1000]`, probabilities.
        top: Number of classes to return.

    Returns:
        For each image a list of tuples (WordNet's name of the class, its description, probability), the likeliest
        first.

    Raises:
        ValueError: `preds` have another shape.
        OSError: The list of classes cannot be fetched; the message says from where, and where to put it by hand.
    """
    preds = np.asarray(preds)
    if preds.ndim != 2 or preds.shape[1] != 1000:
        raise ValueError('preds must be the probabilities of ImageNet\'s classes, [number of images, 1000]; their '
                         'shape is {}.'.format(list(preds.shape)))
    import keras
    with _explained(_CLASSES):
        return keras.applications.imagenet_utils.decode_predictions(preds, top=top)


def preprocess_input_fn(mode, module):
    """Makes the function that prepares images for a family's published weights.

    Args:
        mode: A key of `_MODES`.
        module: Name of the module that the function is a member of.

    Returns:
        A function.
    """
    prepare, result = _MODES[mode]

    def preprocess_input(x, data_format=None):
        if data_format not in _DATA_FORMATS:
            raise ValueError("data_format must be 'channels_last' or 'channels_first', or None for the former; got "
                             '{!r}.'.format(data_format))
        x = _floating(x)
        shape = tf.TensorShape(x.shape)
        axis = (shape.ndims or 0) - (3 if data_format == 'channels_first' else 1)
        if shape.ndims not in (3, 4) or shape.as_list()[axis] != 3:
            raise ValueError('x must be images of 3 channels, [height, width, 3] or [batch, height, width, 3] '
                             '(channels before height if they come first); its shape is {}.'.format(shape))
        along = [1] * shape.ndims
        along[axis] = 3
        return prepare(x, axis, lambda numbers: np.reshape(numbers, along))

    preprocess_input.__module__ = module
    preprocess_input.__doc__ = """Prepares images as they were prepared for the published weights.

    Args:
        x: RGB images, 0 to 255, `[batch, height, width, 3]` or one without batch: an array, which is left as it is,
            or a tensor.
        data_format: 'channels_first' if the channels come before height and width.

    Returns:
        An array or a tensor; float32 unless `x` is of another type of float. {}

    Raises:
        ValueError: `x` has no 3 channels, or `data_format` is unknown.
    """.format(result)
    return preprocess_input


def _floating(x):
    """An array, or a tensor, of a type of float."""
    if tf.is_tensor(x):
        return x if x.dtype.is_floating else tf.cast(x, tf.float32)
    x = np.asarray(x)
    return x if np.issubdtype(x.dtype, np.floating) else x.astype(np.float32)


def _caffe(x, axis, along):
    channels = tf.reverse(x, [axis]) if tf.is_tensor(x) else np.flip(x, axis)
    return channels - _like(along(_BGR_MEANS), x)


def _scaled(x, axis, along):
    del axis, along
    return x / _like(127.5, x) - _like(1, x)


def _standardized(x, axis, along):
    del axis
    return (x / _like(255, x) - _like(along(_RGB_MEANS), x)) / _like(along(_RGB_DEVIATIONS), x)


def _like(numbers, x):
    """Numbers of the type of an array or a tensor."""
    return np.asarray(numbers, x.dtype.as_numpy_dtype if tf.is_tensor(x) else x.dtype)


# By Keras' names.
_MODES = {
    'caffe': (_caffe, 'The channels are BGR, less the means of ImageNet.'),
    'tf': (_scaled, 'The range is -1 to 1.'),
    'torch': (_standardized, 'The range is about -2 to 3: scaled to 0 to 1, less the means of ImageNet, by the '
                             'deviations.'),
}
