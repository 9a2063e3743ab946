"""What several commands share: options, moments, output, failures."""
