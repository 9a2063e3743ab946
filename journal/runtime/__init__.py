"""What the journal does to its process: threads, event loops, forks, exits."""
