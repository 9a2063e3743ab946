"""How long a failed task waits before its next attempt. Counted from the failure, in milliseconds.

Names, parameters and formulas follow the reference task queue (`alsek.core.backoff`); there the time is counted from
the creation of the message, so that a long attempt eats its own backoff. Here it is counted from the failure.
"""

from abc import ABC, abstractmethod
from typing import Any, Final

MINUTE_MS: Final = 60 * 1_000
HOUR_MS: Final = 60 * MINUTE_MS


class Backoff(ABC):
    """Base of the algorithms: `get(incidents)` clips `formula(incidents)` between `floor` and `ceiling` (ms).

    `zero_override`: no wait while there was no incident. `floor` and `ceiling` may be None.
    """

    def __init__(
        self, floor: int | None = MINUTE_MS, ceiling: int | None = HOUR_MS, *, zero_override: bool = True
    ) -> None:
        if floor is not None and ceiling is not None and floor > ceiling:
            raise ValueError(f"the floor of a backoff must not be above its ceiling, got {floor} and {ceiling} ms")
        self.floor = floor
        self.ceiling = ceiling
        self.zero_override = zero_override

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """What makes this instance the one it is."""

    @property
    def settings(self) -> dict[str, Any]:
        """Algorithm and parameters, from which `settings2backoff` makes an equal one."""
        return {"algorithm": type(self).__name__, "parameters": self.parameters}

    @abstractmethod
    def formula(self, incidents: int) -> int:
        """The wait after that many incidents, in ms, before it is clipped."""

    def get(self, incidents: int) -> int:
        """The wait after that many incidents, in ms."""
        if self.zero_override and incidents == 0:
            return 0
        wait = self.formula(incidents)
        if self.ceiling is not None:
            wait = min(wait, self.ceiling)
        return wait if self.floor is None else max(wait, self.floor)

    def _common(self) -> dict[str, Any]:
        return {"floor": self.floor, "ceiling": self.ceiling, "zero_override": self.zero_override}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Backoff) and self.settings == other.settings

    def __hash__(self) -> int:
        return hash((type(self).__name__, *self.parameters.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.parameters.items())})"


class ConstantBackoff(Backoff):
    """The same wait every time: `constant` ms."""

    def __init__(
        self,
        constant: int = MINUTE_MS,
        floor: int | None = MINUTE_MS,
        ceiling: int | None = HOUR_MS,
        *,
        zero_override: bool = True,
    ) -> None:
        super().__init__(floor, ceiling, zero_override=zero_override)
        self.constant = constant

    @property
    def parameters(self) -> dict[str, Any]:
        """The constant and the clipping."""
        return {"constant": self.constant, **self._common()}

    def formula(self, incidents: int) -> int:
        """`constant`, whatever the number of incidents."""
        return self.constant


class LinearBackoff(Backoff):
    """A wait that grows by `factor` ms with each incident."""

    def __init__(
        self,
        factor: int = 30 * 1_000,
        floor: int | None = MINUTE_MS,
        ceiling: int | None = HOUR_MS,
        *,
        zero_override: bool = True,
    ) -> None:
        super().__init__(floor, ceiling, zero_override=zero_override)
        self.factor = factor

    @property
    def parameters(self) -> dict[str, Any]:
        """The factor and the clipping."""
        return {"factor": self.factor, **self._common()}

    def formula(self, incidents: int) -> int:
        """`factor × incidents`."""
        return self.factor * incidents


class ExponentialBackoff(Backoff):
    """A wait of `factor × base ** incidents` ms."""

    def __init__(
        self,
        base: int = 4,
        factor: int = 10_000,
        floor: int | None = MINUTE_MS,
        ceiling: int | None = HOUR_MS,
        *,
        zero_override: bool = True,
    ) -> None:
        super().__init__(floor, ceiling, zero_override=zero_override)
        self.base = base
        self.factor = factor

    @property
    def parameters(self) -> dict[str, Any]:
        """The base, the factor and the clipping."""
        return {"base": self.base, "factor": self.factor, **self._common()}

    def formula(self, incidents: int) -> int:
        """`factor × base ** incidents`; the exponent is bounded, since the ceiling has long been reached there."""
        return int(self.factor * self.base ** min(incidents, 64))


def settings2backoff(settings: dict[str, Any]) -> Backoff:
    """The backoff that has these `settings`; `ValueError` names an algorithm that is not (yet) imported."""
    known = {each.__name__: each for each in Backoff.__subclasses__()}
    algorithm = known.get(settings["algorithm"])
    if algorithm is None:
        raise ValueError(
            f"unknown backoff {settings['algorithm']!r}, known are {', '.join(sorted(known))}; "
            "import the module that defines it first"
        )
    return algorithm(**settings["parameters"])


settings_to_backoff = settings2backoff

NO_BACKOFF: Final = ConstantBackoff(0, floor=0)
