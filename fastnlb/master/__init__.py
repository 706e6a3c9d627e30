"""The master: owns the listening sockets, forks and watches the workers, distributes Snapshots.

Names neither OpenSSL nor the core, and never a worker module: what a worker runs is handed in as a callable.
"""
