"""What runs in a child process: engines, workers, their feeds."""
