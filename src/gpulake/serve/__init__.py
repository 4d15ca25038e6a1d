"""Pages on the Publication, for a browser: every view is a URL, every figure a gold column."""

from gpulake.serve.app import create_app
from gpulake.serve.running import run

__all__ = ["create_app", "run"]
