"""A model for TensorFlow Lite."""

import contextlib
import warnings

import tensorflow.compat.v1 as tf

from nets.inference import fold


def write(folded, path, preset):
    """Writes the file; see `nets.inference.formats`."""
    del preset
    session, images, tensors = fold.session_of(folded)
    with session, session.graph.as_default():
        converter = tf.lite.TFLiteConverter.from_session(session, [images], list(tensors.values()))
        model = converter.convert()
    with open(path, 'wb') as file:
        file.write(model)
    return {}


@contextlib.contextmanager
def load(path, folded):
    """Runs the file by TensorFlow's interpreter; see `nets.inference.formats`."""
    interpreter = _interpreter(path)
    taken, = interpreter.get_input_details()
    given = {detail['name']: detail['index'] for detail in interpreter.get_output_details()}

    def run(images):
        interpreter.resize_tensor_input(taken['index'], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(taken['index'], images)
        interpreter.invoke()
        return {name: interpreter.get_tensor(given[operation]) for name, operation in folded.end_points.items()}

    yield run


def _interpreter(path):
    """LiteRT's interpreter, or TensorFlow's own, which warns that it will go."""
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return tf.lite.Interpreter(model_path=path)
    return interpreter.Interpreter(model_path=path)
