"""Datasets: recordings are downloaded, synthesised or converted, and written as checksummed 16 kHz WAV files."""
