"""What goes into a packed folder: the chosen entry, the script, and what a server needs."""
