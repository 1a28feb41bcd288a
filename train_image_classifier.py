"""Trains an image classifier; `--help` lists the flags."""

import sys

from nets.cli import train

if __name__ == '__main__':
    sys.exit(train.main())
