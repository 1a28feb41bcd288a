"""What computes a network: TensorFlow, or ONNX Runtime where it is installed. Both give the same numbers.

    with engines.open_engine('onnxruntime', 'resnet_v1_50', 'resnet_v1_50.ckpt', ['global_pool']) as engine:
        features = engine(images)['global_pool']
"""

from nets.inference import fold
from nets.inference.formats import onnx_file


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


def open_engine(engine, network, checkpoint, end_points, num_classes=None, **kwargs):
    """Makes a network ready to run.

    Args:
        engine: A key of `ENGINES`.
        network, checkpoint, end_points, num_classes, **kwargs: As in `fold.fold`.

    Returns:
        `Engine`.

    Raises:
        ValueError: If the engine, the network or an end point is unknown, or the checkpoint does not fit.
        ImportError: If the engine's packages are not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f'The engine must be one of {", ".join(ENGINES)}; got {engine!r}.')
    return ENGINES[engine](network, checkpoint, end_points, num_classes, **kwargs)


def _tensorflow(*args, **kwargs):
    session, images, tensors = fold.folded_session(*args, **kwargs)
    call = session.make_callable(list(tensors.values()), [images])
    return Engine(lambda batch: dict(zip(tensors, call(batch))), session.close)


def _onnxruntime(*args, **kwargs):
    onnx_file.require()
    folded = fold.fold(*args, one_op_groups=True, **kwargs)
    return Engine(onnx_file.session_fn(onnx_file.serialize(folded), folded.end_points), lambda: None)


def _closed(images):
    raise ValueError('The engine is closed; open another one.')


ENGINES = {'tensorflow': _tensorflow, 'onnxruntime': _onnxruntime}
