"""What Journeyman runs on: how to bring it up for development, tests and measurements."""
