"""A shop with two tasks: the program that the files in `deploy/` run."""
