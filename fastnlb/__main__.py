"""`python -m fastnlb` is the `fastnlb` command."""

from fastnlb.cli.main import run

if __name__ == "__main__":
    run()
