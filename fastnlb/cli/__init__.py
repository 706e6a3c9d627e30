"""The commands of `fastnlb`.  Each module imports what it needs when it runs, so that `--help` stays quick."""
