"""The page: a live picture, where the time goes, controls, health and metrics."""
