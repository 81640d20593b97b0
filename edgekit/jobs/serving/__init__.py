"""A model in a program's own process: which entry, and its answers."""
