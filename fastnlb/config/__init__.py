"""From the text of fastnlb.yaml to a Snapshot, with every problem named at its place."""
