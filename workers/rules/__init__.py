"""What decides: the names of events, the table of states, the fold, and the choice of what to do. All of it pure."""
