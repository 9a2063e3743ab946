"""What the journal itself keeps about consumers, by checkpoint name: how far each has come, and what it has parked."""
