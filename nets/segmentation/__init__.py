"""Segmentation: training, evaluation and prediction of a class for every pixel."""
