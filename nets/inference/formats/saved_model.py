"""A SavedModel with two signatures: images as numbers, and encoded images with the preset built in.

- `serving_default`: `images`, float32 `[batch, height, width, channels]`, preprocessed.
- `encoded_images`: `encoded_images`, string `[batch]`, the bytes of JPEG, PNG, GIF or BMP files.

The names of the results are the end points.
"""

import contextlib

import tensorflow.compat.v1 as tf

from nets.checkpoints import preset_file
from nets.data import images as image_files
from nets.inference import fold

ENCODED = 'encoded_images'
DEFAULT = tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY


def write(folded, path, preset):
    """Writes the directory; see `nets.inference.formats`.

    Args:
        preset: `preset_file.Preset`.
    """
    with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
        encoded = tf.placeholder(tf.string, [None], name=ENCODED)
        prepared = _prepared(encoded, preset)
        shape = tf.TensorShape(folded.nodes[folded.images].attr['shape'].shape)
        if not prepared.shape.is_compatible_with(shape):
            raise ValueError(f'The preset makes images of {prepared.shape.as_list()[1:]}, the network is to take '
                             f'{shape.as_list()[1:]}. Leave the size open, or give the preset\'s.')
        # Fed with images, the graph never looks at the encoded ones.
        images = tf.placeholder_with_default(prepared, shape, name=folded.images)
        graph_def = folded.nodes.graph_def()
        kept = [node for node in graph_def.node if node.name != folded.images]
        del graph_def.node[:]
        graph_def.node.extend(kept)
        results = tf.import_graph_def(graph_def, name='', input_map={folded.images + ':0': images},
                                      return_elements=[name + ':0' for name in folded.end_points.values()])
        outputs = dict(zip(folded.end_points, results))
        signature = tf.saved_model.signature_def_utils.predict_signature_def
        builder = tf.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.tag_constants.SERVING], strip_default_attrs=True, clear_devices=True,
            signature_def_map={DEFAULT: signature({fold.IMAGES: images}, outputs),
                               ENCODED: signature({ENCODED: encoded}, outputs)})
        builder.save()
    return {'signatures': [DEFAULT, ENCODED], 'preset': dict(preset._asdict(), class_names=None)}


def _prepared(encoded, preset):
    """Decoded and preprocessed images of the preset's size."""
    preprocess = preset_file.preprocess_fn(preset)
    size = preset.image_size

    def prepare(one):
        return preprocess(image_files.decode(one), size, size)

    with tf.device('/cpu:0'):  # where images are decoded
        images = tf.map_fn(prepare, encoded, fn_output_signature=tf.float32)
    return tf.ensure_shape(images, [None, size, size, 3])


@contextlib.contextmanager
def load(path, folded):
    """Runs the signature of images, by TensorFlow 1's loader; see `nets.inference.formats`."""
    with open_signature(path, DEFAULT) as run:
        yield run


@contextlib.contextmanager
def open_signature(path, key):
    """A function from what a signature takes to a dict of arrays."""
    with tf.Graph().as_default() as graph, tf.Session(graph=graph, config=fold.session_config()) as session:
        loaded = tf.saved_model.loader.load(session, [tf.saved_model.tag_constants.SERVING], path)
        signature = loaded.signature_def[key]
        taken, = signature.inputs.values()
        given = {name: tensor.name for name, tensor in signature.outputs.items()}
        yield lambda value: session.run(given, {taken.name: value})
