"""The errors of request tracking."""


class InvalidTask(ValueError):
    """A field of a task has a value of another kind: the message names the field."""


class RESTResponseException(Exception):
    """A tracker's server has answered with an error; the message is its text, without the key."""


class NoTrackerAvailableException(Exception):
    """No tracker fits the URL: the operator names a journal, or the endpoint of a server."""
