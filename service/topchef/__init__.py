"""Services and jobs in the dialects of TopChef, at `/topchef`; a job is a task in its service's queue."""
