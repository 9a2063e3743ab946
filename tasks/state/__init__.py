"""The state of the queue, folded from its events: pure rules."""
