"""Which task a worker claims next, and whose session it expires: pure rules."""
