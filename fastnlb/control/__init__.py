"""The control process: decides what is to be served, and proposes it to the master.

One process, forked by the master.  Its death never disturbs traffic: another one takes its place.
"""
