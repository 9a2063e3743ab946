"""Answers about tasks: what happened to one, why it waits, what there is."""
