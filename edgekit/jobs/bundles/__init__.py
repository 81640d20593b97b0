"""The bundle on disk: sealed, signed and read."""
