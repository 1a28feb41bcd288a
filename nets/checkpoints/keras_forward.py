"""Runs the networks of Keras Applications in Keras, for verification."""

import concurrent.futures
import os

from nets.checkpoints import formats

_MODELS = {
    'resnet_keras_50': 'ResNet50', 'resnet_keras_101': 'ResNet101', 'resnet_keras_152': 'ResNet152',
    'resnet_keras_v2_50': 'ResNet50V2', 'resnet_keras_v2_101': 'ResNet101V2', 'resnet_keras_v2_152': 'ResNet152V2',
    'resnet_v1_50': 'ResNet50', 'resnet_v1_101': 'ResNet101', 'resnet_v1_152': 'ResNet152',
}
_ENDINGS = ('.h5', '.keras')


class Model:
    """The model of Keras Applications with the weights of a file.

    Attributes:
        loaded_by: 'Keras', or 'names' where Keras itself could not have read the file into this model: a file of the
            first generation of names, or of another ending.
    """

    def __init__(self, network, num_classes, path, arrays):
        """Builds the model in a thread of its own, as graphs are entered by threads and Keras runs in none.

        Args:
            network: Name of a network of ours.
            num_classes: Number of logits; 0 for none.
            path: The file.
            arrays: Dict from `layer/weight`, in Keras' current names, to array: what is in the file.

        Raises:
            ValueError: Keras Applications has no such network.
        """
        if network not in _MODELS:
            raise ValueError(f'Keras Applications builds no {network} that it could be verified with; it has '
                             f'{", ".join(_MODELS)}.')
        self._threads = concurrent.futures.ThreadPoolExecutor(1)
        self.loaded_by = self._threads.submit(self._build, _MODELS[network], num_classes, path, arrays).result()

    def run(self, images, layers):
        """What some layers make of images: a dict from name of a layer to array."""
        return self._threads.submit(self._run, images, layers).result()

    def _build(self, name, num_classes, path, arrays):
        import keras
        top = {'classes': num_classes, 'classifier_activation': None} if num_classes else {'include_top': False}
        self._model = getattr(keras.applications, name)(
            weights=None, input_tensor=keras.Input([None, None, 3]), **top)
        if path.endswith(_ENDINGS) and _has_current_names(path):
            self._model.load_weights(path)
            return 'Keras'
        for layer in self._model.layers:
            layer.set_weights([arrays[f'{layer.name}/{os.path.basename(weight.path)}'] for weight in layer.weights])
        return 'names'

    def _run(self, images, layers):
        import keras
        taps = keras.Model(self._model.inputs[0], [self._model.get_layer(layer).output for layer in layers])
        return dict(zip(layers, (output.numpy() for output in taps(images, training=False))))


def _has_current_names(path):
    """Whether a file is of the current generation of names, whose order Keras' own models have."""
    with formats.open_weights(path) as weights:
        return 'conv1_conv/kernel' in weights.shapes
