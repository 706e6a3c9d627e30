"""Benchmarks of fastnlb beside its peers: `python -m bench` from the project's root; README.md has an overview."""
