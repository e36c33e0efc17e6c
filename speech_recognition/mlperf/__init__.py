"""MLPerf's side of a run: the log, its rules and their check, the scores, and the submission folder."""
