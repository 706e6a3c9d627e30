"""Pages of the documentation that are derived from the code; `python -m fastnlb.reference` writes them."""
