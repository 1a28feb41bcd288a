"""Reading checkpoints into networks; `nets.checkpoints.restore` holds the one restore function."""
