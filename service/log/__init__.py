"""The log itself over HTTP, for `http://` journals: appends, pages, tails, bounds, snapshots.

`journal/http/` is the other side; `docs/service-log.md` describes what travels.
"""
