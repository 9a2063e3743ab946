"""Following the log: replay, sentinel, live; views and their replicas."""
