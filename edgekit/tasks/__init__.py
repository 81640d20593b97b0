"""Images in, answers out: pre- and post-processing by task; numpy and OpenCV only."""
