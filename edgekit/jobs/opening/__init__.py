"""From a MODEL and a target to an opened engine."""
