"""Services and jobs in the dialects of TopChef: `/topchef`. A service is a subject, a job a task of its queue."""
