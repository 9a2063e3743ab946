"""Tasks: broker, claims, leases, crews, results. Decided by the fold of the journal."""
