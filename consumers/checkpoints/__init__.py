"""Checkpoints and parked events of consumers, stored in the journal itself by checkpoint name."""
