"""The log behind a journal service: `http://host:port` and `https://host:port`."""
