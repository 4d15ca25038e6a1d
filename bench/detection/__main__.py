"""Some parts of the detection bench, or all: python -m bench.detection [fleet] [series] [simulated]."""

from __future__ import annotations

import sys

from bench.detection import PARTS, main

if __name__ == "__main__":
    main(sys.argv[1:] or PARTS)
