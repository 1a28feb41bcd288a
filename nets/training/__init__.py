"""Training and evaluation: configuration in, checkpoints and reports out."""
