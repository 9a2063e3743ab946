"""A listener in a process of its own: `BASE SERVICE LEASE_MS NAME`. It says which jobs it has begun."""

import sys
import threading
from typing import Any

from journeyman.topchef import ServiceListener


class Squares(ServiceListener):
    """Squares `n`; the process whose name stands in `hang` never comes back."""

    def run(self, parameters: Any) -> Any:
        print("began", parameters["n"], flush=True)
        if parameters.get("hang") == NAME:
            threading.Event().wait()
        return {"square": parameters["n"] ** 2}


if __name__ == "__main__":
    base, service, lease_ms, NAME = sys.argv[1:]
    Squares(base, service, lease_ms=int(lease_ms)).start().join()
