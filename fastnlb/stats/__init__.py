"""Numbers: the table of counters and the shared page the workers write them to."""
