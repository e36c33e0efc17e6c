"""What MLPerf asks of a run: its log, and the rules that the log is checked by."""
