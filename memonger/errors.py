"""What can go wrong, by what the user can do about it; each error knows its exit code."""


class MemongerError(Exception):
    """Base of every error that this project raises on purpose; one line, for people."""

    exit_code = 2


class InputError(MemongerError):
    """A file, an option or a value from outside that cannot be used."""


class NetError(InputError):
    """A network that is not well formed: names the operator or the blob."""


class ShapeError(InputError):
    """Shapes, types or sizes that are missing, contradictory or impossible."""


class ProblemError(InputError):
    """A planning problem that is not well formed: names the buffer."""


class PlanError(MemongerError):
    """A plan or a certificate that does not hold for its problem."""

    exit_code = 3


class EquivalenceError(MemongerError):
    """A rewritten network that does not compute what the original computes."""

    exit_code = 3


class MissingExtraError(MemongerError):
    """An optional dependency that is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed: pip install 'memonger[{extra}]'")
