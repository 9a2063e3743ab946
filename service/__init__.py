"""The service: the journal, the queue and its history over HTTP.

`app` puts the routers of the subjects together; `backend` holds what all requests share; `server` runs the app.
"""
