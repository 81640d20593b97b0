"""The live demo: frames in, a picture with boxes and the truth about its age out."""
