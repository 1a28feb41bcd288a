"""The terminal that a program runs in."""

import os
import sys


def bar_width():
    """The width of the terminal in characters; 80 where it does not tell."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
