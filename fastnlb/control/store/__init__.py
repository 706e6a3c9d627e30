"""The durable state of store mode: what the API has been told, on disk before it is acknowledged.

`store.Store` is the way in, `loader.StoreLoader` what a daemon reads it by.  Nothing here knows of HTTP or of a loop.
"""
