"""The images that a network segments worst, kept small for a report."""

import base64
import heapq
import io
import itertools

import numpy as np
from PIL import Image

from nets.data.segmentation import label_images

_KEPT = 12
_SIDE = 240


class Worst:
    """The images with the least mean IoU, of any number of images in the same memory."""

    def __init__(self, kept=_KEPT):
        """Starts without images.

        Args:
            kept: How many to keep.
        """
        self._kept = kept
        self._heap = []
        self._number = itertools.count()

    def add(self, iou, name, image, label, predicted):
        """Takes an image.

        Args:
            iou: Float, the mean IoU, or None where nothing counted.
            name: Bytes or str.
            image: uint8 `[height, width, 3]`.
            label: int `[height, width]`.
            predicted: int `[height, width]`.
        """
        if iou is None or (len(self._heap) == self._kept and -iou <= self._heap[0][0]):
            return
        entry = (-iou, -next(self._number), name, *map(_shrunk, (image, label, predicted)))
        (heapq.heappush if len(self._heap) < self._kept else heapq.heappushpop)(self._heap, entry)

    def cards(self, model):
        """What was kept, the worst first.

        Args:
            model: A `model_file.Model`.

        Returns:
            List of tuples: IoU, name, and the addresses of three pictures: photograph, label and prediction over it.
        """
        palette = np.zeros([65536, 3], np.uint8)
        palette[:len(model.palette)] = model.palette
        return [(-entry[0], entry[2], *(data_url(picture) for picture in (
            entry[3], *(label_images.overlay(entry[3], labels, palette, 0.7, (model.ignore_label,))
                        for labels in entry[4:]))))
                for entry in sorted(self._heap, key=lambda one: one[:2], reverse=True)]


def data_url(pixels):
    """uint8 pixels `[height, width, 3]` as the address of a PNG image."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'PNG')
    return 'data:image/png;base64,' + base64.b64encode(buffer.getvalue()).decode('ascii')


def _shrunk(pixels):
    """Pixels or labels of at most 240 in height and width, by leaving out rows and columns evenly."""
    scale = min(1, _SIDE / max(pixels.shape[:2]))
    return pixels[np.ix_(*(np.linspace(0, size - 1, max(1, round(size * scale))).round().astype(int)
                           for size in pixels.shape[:2]))]
