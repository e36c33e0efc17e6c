"""What runs did, as a page to read."""
