"""Dense prediction: features at any stride, heads for segmentation, and images of any size."""
