"""The run: from initialisation to the last evaluation."""
