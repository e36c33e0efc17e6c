"""The report of one or more runs: an HTML page with charts and tables."""
