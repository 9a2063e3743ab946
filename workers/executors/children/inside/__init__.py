"""The code that runs in a child process."""
