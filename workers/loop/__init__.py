"""The worker loop: claims tasks, hands them to executors and appends their outcomes."""
