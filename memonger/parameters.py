"""Parameters of the solvers: declared beside what they control, given by a file.

No parameter changes what is proven: they say how much is tried of what, and in which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memonger.errors import InputError

FORMAT = "memonger-parameters/1"
Value = int | float


@dataclass(frozen=True)
class Parameter:
    """A number that a solver takes from outside.

    Parameters
    ----------
    name
        As in files, ``target.name`` with the target in front.
    default
        Its value where none is given.
    low, high
        The least and the largest value that makes sense; integers are drawn where they are ones.
    log
        Whether its order of magnitude matters rather than its size.
    """

    name: str
    default: Value
    low: Value
    high: Value
    log: bool = False

    @property
    def integer(self) -> bool:
        """Whether its values are integers."""
        return type(self.default) is int


@dataclass(frozen=True)
class Space:
    """The parameters of a target: what a tuner searches.

    Parameters
    ----------
    target
        Its name.
    parameters
        Name -> parameter.
    """

    target: str
    parameters: Mapping[str, Parameter]

    def __getitem__(self, name: str) -> Parameter:
        return self.parameters[name]


SPACES: dict[str, Space] = {}
"""The spaces of all targets; the modules of the solvers fill it."""


def declare(target: str, *parameters: Parameter) -> Space:
    """Declare the parameters of a target, once."""
    if target in SPACES:
        raise ValueError(f"the target {target!r} is declared already")
    SPACES[target] = Space(target, {p.name: p for p in parameters})
    return SPACES[target]


@dataclass(frozen=True)
class Parameters:
    """Values of parameters; the others have their defaults.

    Parameters
    ----------
    values
        ``target.name`` -> value.

    Examples
    --------
    >>> dives = Parameter("dives", 6, 1, 24)
    >>> space = Space("example", {"dives": dives})
    >>> Parameters().of(space, "dives"), Parameters({"example.dives": 9}).of(space, "dives")
    (6, 9)
    """

    values: Mapping[str, Value] = field(default_factory=dict)

    def of(self, space: Space, name: str) -> Any:  # noqa: ANN401
        """Return the value of a parameter of a space."""
        return self.values.get(f"{space.target}.{name}", space[name].default)


DEFAULTS = Parameters()
"""All defaults."""


def parameters_from_json(data: object, source: str = "parameters") -> Parameters:
    """Return the parameters that JSON data give.

    Raises
    ------
    InputError
        If they are none: names the entry. The targets must be loaded.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InputError(f"{source}: expected the format {FORMAT!r}")
    values = data.get("values")
    if not isinstance(values, Mapping):
        raise InputError(f"{source}: 'values' must be an object of target.name -> number")
    known = {f"{s.target}.{p.name}": p for s in SPACES.values() for p in s.parameters.values()}
    for key, value in values.items():
        if key not in known:
            raise InputError(f"{source}: no parameter {key!r}; known: {', '.join(known)}")
        parameter = known[key]
        if type(value) not in ((int,) if parameter.integer else (int, float)):
            kind = "an integer" if parameter.integer else "a number"
            raise InputError(f"{source}: {key!r} must be {kind}, got {value!r}")
        if not parameter.low <= value <= parameter.high:
            raise InputError(
                f"{source}: {key!r} must be from {parameter.low} to {parameter.high}, got {value}"
            )
    return Parameters(dict(values))


def parameters_to_json(parameters: Parameters, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON data, with a record of where they are from."""
    return {"format": FORMAT, "values": dict(parameters.values), "record": dict(record)}
