"""``python -m mt_diagrams``, also installed as ``mt-diagrams``."""

import sys

from mt_diagrams.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
