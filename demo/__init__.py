"""The demonstration: a real job over the Python standard library, with a worker killed on the way."""
