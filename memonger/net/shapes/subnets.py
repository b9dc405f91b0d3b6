"""Operators that run sub-networks."""

from __future__ import annotations

from memonger.errors import ShapeError
from memonger.net.netdef_pb2 import NetDef
from memonger.net.shapes.rules import OpContext, Outcome, UnknowableError, at_least, rule
from memonger.net.tensors import DataType, TensorType

_UNWRITTEN = "no sub-network writes it"


def _required_net(context: OpContext, name: str) -> NetDef:
    net = context.net(name)
    if net is None:
        raise ShapeError(f"has no {name}")
    return net


def _settle(context: OpContext, found: dict[str, TensorType | None], why: str) -> list[Outcome]:
    """Return what the outputs are, and record what was written besides them.

    Sub-networks run in the workspace of the operator, so that they may also
    write blobs that the operator does not declare.
    """
    for name, known in found.items():
        if context.scope.defined(name):
            context.scope.bind(name, known)
    return [found[name] or why if name in found else _UNWRITTEN for name in context.op.output]


@rule("If", "AsyncIf")
def _if(context: OpContext) -> list[Outcome]:
    branches = [context.scope.overlay(), context.scope.overlay()]
    context.walk(_required_net(context, "then_net"), branches[0])
    otherwise = context.net("else_net")
    if otherwise is not None:
        context.walk(otherwise, branches[1])
    found: dict[str, TensorType | None] = {}
    for name in (name for branch in branches for name in branch.types):
        # A branch that leaves a new blob unwritten has no say in its type.
        types = {branch.type(name) for branch in branches if branch.defined(name)}
        found[name] = types.pop() if len(types) == 1 else None
    return _settle(context, found, "the branches do not agree on a known type")


@rule("While")
def _while(context: OpContext) -> list[Outcome]:
    body = context.scope.overlay()
    condition = context.net("cond_net")
    if condition is not None:
        context.walk(condition, body)
    context.walk(_required_net(context, "loop_net"), body)
    stable = all(
        known == context.scope.type(name)
        for name, known in body.types.items()
        if context.scope.defined(name)
    )
    found = body.types if stable else dict.fromkeys(body.types)
    return _settle(context, dict(found), "its type may change from one iteration to the next")


@rule("Do")
def _do(context: OpContext) -> list[Outcome]:
    """Run a network in a workspace of its own, with blobs bound by position."""
    inputs, outputs = list(context.op.input), list(context.op.output)
    inner, positions = context.texts("inner_blobs"), context.integers("outer_blobs_idx")
    if not inputs or not outputs or inputs[-1] != outputs[-1]:
        raise ShapeError("the last input and output are not the same workspace")
    outer = [*inputs[:-1], *outputs[:-1]]
    if len(inner) != len(positions) or any(not 0 <= p < len(outer) for p in positions):
        raise ShapeError("inner_blobs and outer_blobs_idx do not bind blobs to each other")
    scope = context.scope.isolated()
    bound = {}
    for name, position in zip(inner, positions, strict=True):
        bound[outer[position]] = name
        if context.scope.defined(outer[position]):
            values = context.scope.values(outer[position])
            scope.bind(name, context.scope.type(outer[position]), values)
    context.walk(_required_net(context, "net"), scope)
    outcomes: list[Outcome] = []
    for name in outputs[:-1]:
        known = scope.type(bound[name]) if name in bound else None
        outcomes.append("the sub-network does not give it a known type" if known is None else known)
    return [*outcomes, "not a tensor"]


def _pairs(context: OpContext, *names: str) -> list[tuple[str, str, int]]:
    """Return the rows of three lists in arguments: two names and a number."""
    first, second = context.texts(names[0]), context.texts(names[1])
    numbers = context.integers(names[2])
    if not len(first) == len(second) == len(numbers):
        raise ShapeError(f"{', '.join(names)} differ in length")
    return list(zip(first, second, numbers, strict=True))


def _states(context: OpContext, steps: int, batch: int) -> dict[str, TensorType | None]:
    """Return the type of every recurrent state: its initial value, then one entry per step."""
    names, ids = context.texts("recurrent_states"), context.integers("initial_recurrent_state_ids")
    if len(names) != len(ids):
        raise ShapeError("recurrent_states and initial_recurrent_state_ids differ in length")
    states: dict[str, TensorType | None] = {}
    for name, position in zip(names, ids, strict=True):
        if not 0 <= position < len(context.inputs):
            raise ShapeError(f"state {name!r} starts from input {position}, which is not there")
        initial = context.inputs[position]
        states[name] = None
        if initial is not None:
            shape = initial.shape
            if not 1 <= len(shape) <= 3 or (len(shape) > 1 and shape[-2] != batch):
                raise ShapeError(f"initial state {list(shape)} for a batch of {batch}")
            length = shape[0] if len(shape) == 3 else 1
            states[name] = TensorType((steps + length, batch, shape[-1]), DataType.FLOAT)
    return states


def _step(context: OpContext, states: dict[str, TensorType | None]) -> None:
    """Infer the step network once, and check that it keeps the size of every state."""
    scope = context.scope.overlay()
    links = _pairs(context, "link_internal", "link_external", "link_offset")
    windows = context.integers("link_window") or (1,) * len(links)
    if len(windows) != len(links):
        raise ShapeError("link_internal and link_window differ in length")
    slices: dict[str, TensorType | None] = {}
    for (internal, external, _), window in zip(links, windows, strict=True):
        whole = states[external] if external in states else context.scope.type(external)
        if whole is not None:
            at_least(external, whole, 1)
            whole = whole.with_shape((window, *whole.shape[1:]))
        slices[internal] = scope.bind(internal, whole)
    scope.bind(context.text("timestep", "timestep"), TensorType((1,), DataType.INT32))
    context.walk(_required_net(context, "step_net"), scope)
    for name, before in slices.items():
        after = scope.type(name)
        if before is not None and after is not None and before.numel != after.numel:
            shapes = f"{list(before.shape)} becomes {list(after.shape)}"
            raise ShapeError(f"{name!r} of the step network: {shapes}")


@rule("RecurrentNetwork")
def _recurrent(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("sequence", data, 2)
    states = _states(context, *data.shape[:2])
    _step(context, states)
    found: dict[str, Outcome] = {}
    for source, target, offset in _pairs(context, "alias_src", "alias_dst", "alias_offset"):
        state = states.get(source)
        if state is None:
            found[target] = f"the state {source!r} has no known type"
            continue
        start = offset if offset >= 0 else state.shape[0] + offset
        if not 0 <= start <= state.shape[0]:
            raise ShapeError(f"{target!r} starts at step {offset} of {state.shape[0]}")
        found[target] = state.with_shape((state.shape[0] - start, *state.shape[1:]))
    outcomes = [found.get(name, "no state is aliased to it") for name in context.op.output]
    # The last output holds the workspaces of the steps, not a tensor.
    return [*outcomes[:-1], found.get(context.op.output[-1], "not a tensor")] if outcomes else []


@rule("RecurrentNetworkGradient")
def _recurrent_gradient(context: OpContext) -> list[Outcome]:
    """Gradients of outputs, forward inputs, forward outputs -> gradients of forward inputs."""
    first = len(context.integers("outputs_with_grads"))
    ids = (0, *context.integers("param"), *context.integers("initial_recurrent_state_ids"))
    if len(ids) != len(context.op.output):
        raise UnknowableError("its outputs do not match its arguments")
    outcomes: list[Outcome] = []
    for position in (first + number for number in ids):
        if not first <= position < len(context.inputs):
            raise ShapeError(f"has no input {position}")
        known = context.inputs[position]
        outcomes.append(context.missing(position) if known is None else known)
    return outcomes
