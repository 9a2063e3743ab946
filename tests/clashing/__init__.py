"""Packages with tasks of the same names, on one journal."""
