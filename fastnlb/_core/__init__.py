"""The data plane.  Only fastnlb.worker imports it; README.md in this folder is the contract."""
