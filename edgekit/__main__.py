"""`edgekit` and `python -m edgekit`."""

from __future__ import annotations

import sys

from edgekit.cli.main import run
from edgekit.core.interpreter import module_folders

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its status."""
    sys.path[:] = module_folders()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
