"""One worker process: the only part of the program that imports the core."""
