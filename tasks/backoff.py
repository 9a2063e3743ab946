"""Compute how long a failed task waits before its next attempt, in milliseconds from the failure.

Names, parameters and formulas follow the reference task queue (`alsek.core.backoff`); there the time is counted from
the creation of the message, so that a long attempt uses up its own backoff.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Final

from .limits import (
    BACKOFF_CEILING_MS_DEFAULT,
    BACKOFF_FLOOR_MS_DEFAULT,
    CONSTANT_WAIT_MS_DEFAULT,
    EXPONENTIAL_WAIT_MS_DEFAULT,
    LINEAR_FACTOR_MS_DEFAULT,
)


class _Default(int):
    """A default bound: it gives way to a wait that the caller has passed."""


FLOOR_DEFAULT_MS: Final = _Default(BACKOFF_FLOOR_MS_DEFAULT)
CEILING_DEFAULT_MS: Final = _Default(BACKOFF_CEILING_MS_DEFAULT)


class Backoff(ABC):
    """Base of the algorithms: `get(incidents)` clips `formula(incidents)` between `floor` and `ceiling` (ms).

    `zero_override`: no wait while there was no incident. `floor` and `ceiling` may be None. The defaults, a minute and
    an hour, are the reference's; there they override a shorter or longer wait in silence, here they give way to it.
    """

    def __init__(
        self,
        floor: int | None = FLOOR_DEFAULT_MS,
        ceiling: int | None = CEILING_DEFAULT_MS,
        zero_override: bool = True,
    ) -> None:
        for name, bound in (("floor", floor), ("ceiling", ceiling)):
            if bound is not None:
                _check_number(name, bound, "in ms, or None for no bound")
        if isinstance(ceiling, _Default) and floor is not None:
            ceiling = _Default(max(floor, ceiling))
        if isinstance(floor, _Default) and ceiling is not None:
            floor = _Default(min(floor, ceiling))
        if floor is not None and ceiling is not None and floor > ceiling:
            raise ValueError(f"the floor of a backoff must not be above its ceiling, got {floor} and {ceiling} ms")
        self.floor = floor
        self.ceiling = ceiling
        self.zero_override = zero_override

    def _make_room_for(self, wait: int) -> None:
        """Widen the default bounds to include a wait that the caller has passed."""
        if isinstance(self.floor, _Default):
            self.floor = _Default(min(self.floor, wait))
        if isinstance(self.ceiling, _Default):
            self.ceiling = _Default(max(self.ceiling, wait))

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The parameters that define this instance."""

    @property
    def settings(self) -> dict[str, Any]:
        """Algorithm and parameters, from which `settings2backoff` makes an equal instance."""
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
        floor, ceiling = self.floor, self.ceiling
        return {
            "floor": None if floor is None else int(floor),
            "ceiling": None if ceiling is None else int(ceiling),
            "zero_override": self.zero_override,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Backoff) and self.settings == other.settings

    def __hash__(self) -> int:
        return hash((type(self).__name__, *self.parameters.values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.parameters.items())})"


class ConstantBackoff(Backoff):
    """The same wait every time: `constant` ms.

    `ValueError` if a `floor` or a `ceiling` that is named would override it.
    """

    def __init__(
        self,
        constant: int = CONSTANT_WAIT_MS_DEFAULT,
        floor: int | None = FLOOR_DEFAULT_MS,
        ceiling: int | None = CEILING_DEFAULT_MS,
        *,
        zero_override: bool = True,
    ) -> None:
        super().__init__(floor, ceiling, zero_override=zero_override)
        self.constant = _check_number("constant", constant, "in ms")
        self._make_room_for(constant)
        if (self.floor is not None and constant < self.floor) or (self.ceiling is not None and constant > self.ceiling):
            raise ValueError(
                f"a constant backoff of {constant} ms would never apply: it lies outside of floor={self.floor} and "
                f"ceiling={self.ceiling} ms. Leave these out, or make them fit"
            )

    @property
    def parameters(self) -> dict[str, Any]:
        """The constant and the clipping."""
        return {"constant": self.constant, **self._common()}

    def formula(self, incidents: int) -> int:
        """`constant`, whatever the number of incidents."""
        return self.constant


class LinearBackoff(Backoff):
    """A wait that grows by `factor` ms with each incident.

    A factor below the default lowers the default floor to the first wait.
    """

    def __init__(
        self,
        factor: int = LINEAR_FACTOR_MS_DEFAULT,
        floor: int | None = FLOOR_DEFAULT_MS,
        ceiling: int | None = CEILING_DEFAULT_MS,
        *,
        zero_override: bool = True,
    ) -> None:
        super().__init__(floor, ceiling, zero_override=zero_override)
        self.factor = _check_number("factor", factor, "in ms")
        if factor < LINEAR_FACTOR_MS_DEFAULT:
            self._make_room_for(self.formula(1))

    @property
    def parameters(self) -> dict[str, Any]:
        """The factor and the clipping."""
        return {"factor": self.factor, **self._common()}

    def formula(self, incidents: int) -> int:
        """`factor × incidents`."""
        return self.factor * incidents


class ExponentialBackoff(Backoff):
    """A wait of `factor × base ** incidents` ms.

    A first wait below that of the defaults lowers the default floor to it.
    """

    def __init__(
        self,
        base: int = 4,
        factor: int = 10_000,
        floor: int | None = FLOOR_DEFAULT_MS,
        ceiling: int | None = CEILING_DEFAULT_MS,
        *,
        zero_override: bool = True,
    ) -> None:
        super().__init__(floor, ceiling, zero_override=zero_override)
        self.base = _check_number("base", base, "whose power the factor is multiplied by")
        self.factor = _check_number("factor", factor, "in ms")
        if self.formula(1) < EXPONENTIAL_WAIT_MS_DEFAULT:
            self._make_room_for(self.formula(1))

    @property
    def parameters(self) -> dict[str, Any]:
        """The base, the factor and the clipping."""
        return {"base": self.base, "factor": self.factor, **self._common()}

    def formula(self, incidents: int) -> int:
        """`factor × base ** incidents`; the exponent is capped at 64, far above any ceiling."""
        return int(self.factor * self.base ** min(incidents, 64))


def _check_number(name: str, value: int, unit: str) -> int:
    """Return a number; `TypeError` says which parameter is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number, {unit}, got {value!r:.80}")
    return value


def settings2backoff(settings: dict[str, Any]) -> Backoff:
    """The backoff that has these `settings`; `ValueError` names an algorithm that is not imported, or what is wrong."""
    if not (isinstance(settings, dict) and isinstance(settings.get("parameters"), dict) and "algorithm" in settings):
        raise ValueError(
            f'a backoff has settings as {{"algorithm": name, "parameters": {{…}}}}, got {settings!r:.80}. Pass what '
            "its property settings returns"
        )
    known = {each.__name__: each for each in _subclasses_of(Backoff)}
    algorithm = known.get(settings["algorithm"])
    if algorithm is None:
        raise ValueError(
            f"unknown backoff {settings['algorithm']!r}, known are {', '.join(sorted(known))}; "
            "import the module that defines it first"
        )
    parameters = settings["parameters"]
    bounds = {name: parameters[name] for name in ("floor", "ceiling") if name in parameters}
    # Set afterwards: settings of an older version may have values outside of their bounds.
    try:
        made = algorithm(**{**parameters, **dict.fromkeys(bounds)})
    except TypeError as error:
        raise ValueError(
            f"{algorithm.__name__} cannot be made of the parameters {parameters!r:.80}: {error}"
        ) from error
    for name, bound in bounds.items():
        setattr(made, name, bound)
    return made


def _subclasses_of(base: Any) -> Iterator[type[Backoff]]:
    """All subclasses of a class, those of subclasses too."""
    for each in base.__subclasses__():
        yield each
        yield from _subclasses_of(each)


settings_to_backoff = settings2backoff

NO_BACKOFF: Final = ConstantBackoff(0)
