"""Evaluates an image classifier; `--help` lists the flags."""

import sys

from nets.cli import evaluate

if __name__ == '__main__':
    sys.exit(evaluate.main())
