"""What users of the journal test with: the conformance suite of the log port, a manual clock, a faulty log."""
