"""Results of measurements: read from files and from the store, written, compared."""
