"""What an operator asks of a service: metrics, health, and a line in the log for each request."""
