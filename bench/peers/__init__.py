"""Other task queues (Huey, SAQ) under the load of `bench.stream`: tasks submitted one by one.

The peers run in a virtual environment of their own.
"""
