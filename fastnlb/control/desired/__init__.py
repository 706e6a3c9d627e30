"""The desired state as clients of the API see and change it: resources by kind and name, instead of one document.

kinds    which kinds there are       edits    changes of a document      pages    filters, and a page at a time
state    what is shown, and how      sent     what is sent, taken in     writes   a change, from request to revision
"""
