"""The answers about tasks and queues as types: the command line prints them as JSON, and the service sends them."""
