"""The container images and the Compose file of a new package, built and run by a real engine; `make containers`."""
