"""The documentation as a site: `python -m docsite` stages the pages in `build/docs` and builds them there."""
