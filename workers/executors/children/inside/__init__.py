"""What runs in a child process."""
