"""The journal's use of its process: threads, event loops, forks, exits."""
