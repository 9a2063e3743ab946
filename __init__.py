"""Journeyman: an event-sourced task queue and journal service."""
