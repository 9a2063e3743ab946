"""Locks in a process: the replica that knows their holders, the keeper that renews their leases, and the requests."""
