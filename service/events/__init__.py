"""Events over HTTP: follow them as a stream, read them page by page, append them."""
