"""What was made once, found again by its content."""
