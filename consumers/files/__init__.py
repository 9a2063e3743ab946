"""Journals as files of JSON Lines: export and import."""
