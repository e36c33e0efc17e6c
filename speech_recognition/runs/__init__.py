"""A run on disk: its folder, log, tables and checkpoints, and the folder of a series of runs."""
