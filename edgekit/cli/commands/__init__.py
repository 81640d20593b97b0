"""One command per module, named after it; each holds a click command called `command`."""
