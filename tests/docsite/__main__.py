"""`python -m docsite`: build the site of the documentation."""

import sys

from .build import SiteError, build
from .paths import BUILD, ROOT

try:
    site = build(BUILD)
except SiteError as error:
    sys.exit(str(error))
print(f"Open {(site / 'index.html').relative_to(ROOT)} in a browser; it needs no server.")
