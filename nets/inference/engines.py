"""What computes a network: TensorFlow, or ONNX Runtime where it is installed. Both give the same numbers.

    with engines.open_engine('onnxruntime', 'resnet_v1_50', 'resnet_v1_50.ckpt', ['global_pool']) as engine:
        features = engine(images)['global_pool']

Both run the folded graph (see `nets.inference.fold`), whose weights are constants. On a processor TensorFlow computes
two halves of a batch at the same time, so that no core waits while the other ends an operation.
"""

import concurrent.futures
import logging
import os

import numpy as np

from nets import cores
from nets.inference import fold
from nets.inference.formats import onnx_file

logger = logging.getLogger(__name__)

_PARTS = 2  # of a batch that are computed at the same time; more gain nothing
_SMALLEST_PART = 2  # images; smaller ones gain nothing


class Engine:
    """A network that is ready to run: `engine(images)` returns a dict from end point to array.

    Images are float32 `[batch, height, width, channels]`, preprocessed; arrays have TensorFlow's layout whatever the
    engine. A context manager, which `close` ends.
    """

    def __init__(self, run, close):
        self._run = run
        self._close = close

    def __call__(self, images):
        return self._run(images)

    def close(self):
        """Frees what the engine holds; it cannot run any more."""
        self._close()
        self._run = _closed

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def open_engine(engine, network, checkpoint, end_points, num_classes=None, config=None, **kwargs):
    """Makes a network ready to run.

    Args:
        engine: A key of `ENGINES`.
        config: `tf.ConfigProto` of the engine 'tensorflow'; None for `fold.session_config()`.
        network, checkpoint, end_points, num_classes, **kwargs: As in `fold.fold`.

    Returns:
        `Engine`.

    Raises:
        ValueError: If the engine, the network or an end point is unknown, or the checkpoint does not fit.
        ImportError: If the engine's packages are not installed.
    """
    check(engine)
    return ENGINES[engine](fold.fold(network, checkpoint, end_points, num_classes, **kwargs), config)


def of_session(engine, session, images, tensors, config=None):
    """Makes the graph of a session ready to run, with the values that its variables have now.

    Where the size of a batch is free, a row of a tensor must depend on the image of that row alone, as a batch may be
    computed in parts. TensorFlow runs a graph that cannot be folded, such as one whose control flow reads variables, as
    it is, in that session: keep it open as long as the engine, and the values of its variables.

    Args:
        engine, config: As in `open_engine`.
        session, images, tensors: As in `fold.fold_session`.

    Returns:
        `Engine`.

    Raises:
        ValueError: If the engine is unknown, or cannot run the graph.
        ImportError: If the engine's packages are not installed.
    """
    check(engine)
    try:
        return ENGINES[engine](fold.fold_session(session, images, tensors), config)
    except ValueError as error:
        if engine != 'tensorflow':
            raise
        logger.info('The graph runs unfolded, as it cannot be folded: %s', error)
        return _of_tensors(session, images, tensors, lambda: None)


def check(engine):
    """Raises a ValueError unless there is such an engine, and an ImportError unless it is installed."""
    if engine not in ENGINES:
        raise ValueError(f'The engine must be one of {", ".join(ENGINES)}; got {engine!r}.')
    if engine == 'onnxruntime':
        onnx_file.require()


def _tensorflow(folded, config):
    session, images, tensors = fold.session_of(folded, config)
    whole = _of_tensors(session, images, tensors, session.close)
    return _in_parts(whole) if _can_split(session, images, tensors, config) else whole


def _of_tensors(session, images, tensors, close):
    call = session.make_callable(list(tensors.values()), [images])
    return Engine(lambda batch: dict(zip(tensors, call(batch))), close)


def _can_split(session, images, tensors, config):
    """Whether a batch may be computed in parts: any size of it will do, and several cores of a processor compute."""
    shapes = [tensor.shape for tensor in [images, *tensors.values()]]
    is_free = all(shape.ndims and shape.as_list()[0] is None for shape in shapes)
    devices = {device.device_type for device in session.list_devices()}
    threads = config and config.intra_op_parallelism_threads or int(os.environ.get('TF_NUM_INTRAOP_THREADS') or 0)
    return is_free and devices == {'CPU'} and (threads or cores.count()) > 1


def _in_parts(engine):
    """An engine that computes the parts of a batch at the same time."""
    threads = concurrent.futures.ThreadPoolExecutor(_PARTS)

    def run(batch):
        if len(batch) < _PARTS * _SMALLEST_PART:
            return engine(batch)
        parts = list(threads.map(engine, np.array_split(batch, _PARTS)))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close():
        threads.shutdown()
        engine.close()

    return Engine(run, close)


def _onnxruntime(folded, config):
    del config
    return Engine(onnx_file.session_fn(onnx_file.serialize(folded), folded.end_points), lambda: None)


def _closed(images):
    raise ValueError('The engine is closed; open another one.')


ENGINES = {'tensorflow': _tensorflow, 'onnxruntime': _onnxruntime}
