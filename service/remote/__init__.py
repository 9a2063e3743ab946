"""Workers in any language: join, claim, report outcomes, leave; each is a session in the log."""
