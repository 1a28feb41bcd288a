"""`python -m nets COMMAND`."""

import sys

from nets.cli import main

if __name__ == '__main__':
    sys.exit(main.main())
