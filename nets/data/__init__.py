"""Data sets, preprocessing presets and input pipelines for image classification."""
