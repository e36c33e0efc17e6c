"""What a run needs of its machine: devices, memory, several processes, signals, and progress on the terminal."""
