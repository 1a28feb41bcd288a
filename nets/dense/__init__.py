"""Dense prediction: features at any stride, heads for segmentation, and images of any size."""

from nets.dense.end_points import decoder_end_points, reachable_output_strides

__all__ = ['decoder_end_points', 'reachable_output_strides']
