"""Changes to operations that are in a graph already."""


def set_input(operation, index, tensor):
    """Gives an operation, which no session has run yet, another tensor as one of its inputs."""
    operation._update_input(index, tensor)
