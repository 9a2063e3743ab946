"""The requests of web servers over HTTP, in the form that viewers of the Top Framework read: `/tracker`."""
