"""Photographs with a class for every pixel: label images, data sets, augmentation and batches."""
