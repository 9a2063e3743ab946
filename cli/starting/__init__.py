"""A new package with tasks: the rules for its name, and the files that `journeyman init` writes."""
