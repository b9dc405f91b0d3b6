"""What is known of every blob while a net is walked."""

from __future__ import annotations

from collections.abc import Mapping

from memonger.errors import ShapeError
from memonger.net.tensors import TensorType

_MAX_DEPTH = 60
_NOTHING: Mapping[str, TensorType] = {}


class Scope:
    """Types and constant values of the current version of every blob.

    Parameters
    ----------
    given
        Types that win over what is inferred, for every version of a blob.
    parent
        The scope in which names are looked up that this one does not define;
        its own entries are never changed from here.
    depth
        How many sub-networks deep this scope is.

    Raises
    ------
    ShapeError
        If sub-networks are nested too deep.
    """

    def __init__(
        self,
        given: Mapping[str, TensorType] = _NOTHING,
        parent: Scope | None = None,
        depth: int = 0,
    ) -> None:
        if depth > _MAX_DEPTH:
            raise ShapeError(f"sub-networks nested more than {_MAX_DEPTH} deep")
        self.given = given
        self.parent = parent
        self.depth = depth
        self.types: dict[str, TensorType | None] = dict(given) if parent is None else {}
        self.latest: dict[str, TensorType] = {}
        self._values: dict[str, tuple[int, ...] | None] = {}

    def overlay(self) -> Scope:
        """Return a scope that sees this one and keeps its own definitions to itself."""
        return Scope(self.given, self, self.depth + 1)

    def isolated(self) -> Scope:
        """Return an empty scope one level down."""
        return Scope(depth=self.depth + 1)

    def type(self, name: str) -> TensorType | None:
        """Return the type of a blob's current version, if it is known."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.types:
                return scope.types[name]
            scope = scope.parent
        return None

    def defined(self, name: str) -> bool:
        """Tell whether a blob has a current version, of known type or not."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.types:
                return True
            scope = scope.parent
        return False

    def values(self, name: str) -> tuple[int, ...] | None:
        """Return the elements of a small integer tensor, if they are known."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.types:
                return scope._values.get(name)
            scope = scope.parent
        return None

    def bind(
        self, name: str, known: TensorType | None, values: tuple[int, ...] | None = None
    ) -> TensorType | None:
        """Start a new version of a blob; return its type."""
        known = self.given.get(name, known)
        self.types[name] = known
        if values is not None and known is not None and known.numel == len(values):
            self._values[name] = values
        else:
            self._values.pop(name, None)
        if known is not None:
            self.latest[name] = known
        return known
