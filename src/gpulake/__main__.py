"""`python -m gpulake` is the command `gpulake`, for where no script is on PATH."""

from __future__ import annotations

import sys

from gpulake.cli import main

if __name__ == "__main__":
    sys.exit(main())
