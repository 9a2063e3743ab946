"""Real workers and real brokers, hurt at random; run by `make torture`, and shortly by the tests."""
