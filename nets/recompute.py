"""Gradients in less memory: activations are computed again where the backward pass needs them."""
