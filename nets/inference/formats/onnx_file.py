"""Writes a folded network as ONNX, node by node, and runs it.

A residual network has fifteen kinds of operations, and after folding each has its twin in ONNX. A general converter
would bring what is not needed here: a package that knows TensorFlow's inner formats, and transposes to move around.
Images and end points keep TensorFlow's layout, `[batch, height, width, channels]`. Inside, tensors have ONNX's,
`[batch, channels, height, width]`, and the names of TensorFlow's with `:0` after them.
"""

import contextlib
import importlib

import numpy as np

from nets.inference.formats import onnx_operations

OPSET = 17
_IR_VERSION = 8  # goes with it (onnx 1.12)


def write(folded, path, preset):
    """Writes the file; see `nets.inference.formats`."""
    del preset
    with open(path, 'wb') as file:
        file.write(serialize(folded))
    return {'opset': OPSET}


@contextlib.contextmanager
def load(path, folded):
    """Runs the file by ONNX Runtime; see `nets.inference.formats`."""
    yield session_fn(path, folded.end_points)


def session_fn(model, end_points):
    """A function from images to a dict of arrays.

    Args:
        model: Path or bytes of a model that `write` or `serialize` made.
        end_points: Names of end points that it has.

    Raises:
        ImportError: If ONNX Runtime is not installed.
    """
    session = imported('onnxruntime').InferenceSession(model, providers=['CPUExecutionProvider'])
    images, names = session.get_inputs()[0].name, list(end_points)

    def run(batch):
        return dict(zip(names, session.run(names, {images: batch})))

    return run


def require():
    """Raises an ImportError unless all packages of the extra `onnx` are there."""
    for name in ('onnx', 'onnxruntime'):
        imported(name)


def imported(name):
    """A package of the extra `onnx`.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"This needs the package {name}: pip install 'tf1-nets[onnx]' ({error}).") from error


def serialize(folded):
    """The bytes of the ONNX model of a folded network.

    Raises:
        ValueError: If the network has an operation that is not known here.
        ImportError: If onnx is not installed.
    """
    onnx = imported('onnx')
    helper = onnx.helper
    graph = onnx_operations.translate(folded.nodes)
    nodes = [helper.make_node(kind, inputs, [output], **attributes)
             for kind, inputs, output, attributes in graph.operations]
    outputs = []
    for end_point, name in folded.end_points.items():
        rank = graph.ranks[name]
        kind, attributes = ('Transpose', {'perm': [0, 2, 3, 1]}) if rank == 4 else ('Identity', {})
        nodes.append(helper.make_node(kind, [name + ':0'], [end_point], **attributes))
        outputs.append(_value(onnx, end_point, ['batch'] + [None] * (rank - 1)))
    shape = [dim.size if dim.size > 0 else axis for dim, axis in zip(
        folded.nodes[folded.images].attr['shape'].shape.dim, ('batch', 'height', 'width', 'channels'))]
    constants = [onnx.numpy_helper.from_array(np.ascontiguousarray(value), name)
                 for name, value in graph.constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, 'network', [_value(onnx, folded.images, shape)], outputs, constants),
        opset_imports=[helper.make_opsetid('', OPSET)], ir_version=_IR_VERSION, producer_name='nets')
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _value(onnx, name, shape):
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
