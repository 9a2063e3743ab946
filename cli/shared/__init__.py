"""Code that several commands share: options, moments, output, failures."""
