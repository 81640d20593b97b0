"""`edgekit` and `python -m edgekit`."""

from __future__ import annotations

import sys

from edgekit.cli.main import run

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
