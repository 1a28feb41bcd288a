"""Keras' older name of `resnet`, under which many programs import it."""

from nets.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ['ResNet50', 'decode_predictions', 'preprocess_input']
