"""Whether a worker gets on: judged, reported to a file, to a port and to the service manager."""
