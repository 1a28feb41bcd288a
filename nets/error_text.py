"""What TensorFlow's errors say, without where in a graph it was said."""

_HEADINGS = ('', 'Graph execution error:')
# Errors of a server begin with the device.
_PLACE = 'From /job:'


def first_telling_line(message, otherwise):
    """The first line of an error's message that says something, with single blanks; `otherwise` if none does."""
    lines = [' '.join(line.split()) for line in str(message).split('\n')]
    nodes = [i for i, line in enumerate(lines) if line.startswith("Node: '")]  # what comes before says where, not what
    lines = lines[nodes[-1] + 1:] if nodes else lines
    return next((line for line in lines if line not in _HEADINGS and not line.startswith(_PLACE)), otherwise)
