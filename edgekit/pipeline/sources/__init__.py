"""What gives frames: cameras, files, folders, streams."""
