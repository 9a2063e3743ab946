"""The health of a worker: judged by its progress, reported to a file, over HTTP and to the service manager."""
