"""The documentation as a site: `python -m docsite`, in `tests/`, stages its pages and builds it in `build/docs`."""
