"""What the planner must know of an operator beyond its inputs and outputs: one table.

An operator type without an entry reads its inputs, writes its outputs, and may have its
outputs placed in any buffer; this is so for nearly all of Caffe2's operators.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Scope(Enum):
    """Where the nets inside an operator run."""

    SHARED = "shared"  # in the workspace of the net itself: If, While, AsyncIf
    CHILD = "child"  # in a workspace that sees the outer blobs: RecurrentNetwork
    BOUND = "bound"  # in a workspace of its own, blobs bound by index: Do


@dataclass(frozen=True, slots=True)
class Schema:
    """Traits of an operator type.

    Parameters
    ----------
    aliases
        Pairs (output, input): the output is a view of the input's memory.
    views
        Outputs are views of memory that the operator keeps (recurrent states).
    opaque
        Outputs are no tensors (queues, mutexes, readers): never to be placed anywhere else.
    keeps_pointers
        The operator remembers the addresses of its blobs between runs: they must stay alone.
    scope
        Where the nets in its arguments run; ``None`` if it has none.
    runs
        Arguments whose nets the operator runs; other nets in it are only carried along.
    exhaustive
        Exactly one of the nets in ``runs`` is run: what all of them write is surely written.
    names
        String arguments that name blobs of the outer net.
    locals
        String arguments that name blobs of the child workspace, whatever the outer net holds.
    derives_gradients
        The operator finds the gradient of an operand ``b`` under the name ``b_grad``, unless an
        argument ``b_grad.rename`` says where it is.
    named
        The names of its blobs mean something outside the net: keys of a file or a database.
    output_on_cpu
        The outputs live on the CPU whatever the operator's device.
    """

    aliases: tuple[tuple[int, int], ...] = ()
    views: bool = False
    opaque: bool = False
    keeps_pointers: bool = False
    scope: Scope | None = None
    runs: tuple[str, ...] = ()
    exhaustive: bool = False
    names: tuple[str, ...] = ()
    locals: tuple[str, ...] = ()
    derives_gradients: bool = False
    named: bool = False
    output_on_cpu: bool = False

    @property
    def holds_on(self) -> bool:
        """Whether it ties its blobs to their memory or their names in any way."""
        return bool(
            self.aliases
            or self.views
            or self.opaque
            or self.keeps_pointers
            or self.names
            or self.locals
            or self.derives_gradients
            or self.named
        )


_ALIAS = Schema(aliases=((0, 0),))
_OPAQUE = Schema(opaque=True)
_COLLECTIVE = Schema(keeps_pointers=True)
_CONDITIONAL = Schema(scope=Scope.SHARED, runs=("then_net", "else_net"), exhaustive=True)
_NAMED = Schema(named=True)
_TO_CPU = Schema(output_on_cpu=True)
_LINKS = ("link_external", "alias_dst", "backward_link_external", "param_grads")
_INTERNAL = ("link_internal", "backward_link_internal", "recurrent_states", "timestep")

SCHEMAS: dict[str, Schema] = {
    "Alias": _ALIAS,
    "AliasWithName": _ALIAS,
    "If": _CONDITIONAL,
    "AsyncIf": _CONDITIONAL,
    "While": Schema(scope=Scope.SHARED, runs=("loop_net", "cond_net")),
    "Do": Schema(scope=Scope.BOUND, runs=("net",)),
    "RecurrentNetwork": Schema(
        views=True, scope=Scope.CHILD, runs=("step_net",), names=_LINKS, locals=_INTERNAL
    ),
    "RecurrentNetworkGradient": Schema(
        scope=Scope.CHILD,
        runs=("step_net", "backward_step_net"),
        names=_LINKS,
        locals=_INTERNAL,
        derives_gradients=True,
    ),
    "CopyGPUToCPU": _TO_CPU,
    "CopyToCPU": _TO_CPU,
    "EnsureCPUOutput": _TO_CPU,
    # Collective communication (gloo, NCCL through gloo): addresses are registered on first run.
    **dict.fromkeys(
        ("Allgather", "Allreduce", "Barrier", "Broadcast", "Reduce", "ReduceScatter",
         "SendTensor", "ReceiveTensor"),
        _COLLECTIVE,
    ),
    # Files and databases: the names are the keys.
    **dict.fromkeys(("Checkpoint", "Load", "Print", "Save", "Snapshot", "Summarize"), _NAMED),
    # Handles and containers.
    **dict.fromkeys(
        ("AtomicAppend", "CreateAtomicBool", "CreateBlobsQueue", "CreateCommonWorld",
         "CreateCounter", "CreateDB", "CreateMap", "CreateMutex", "CreateQPSMetric",
         "CreateRebatchingQueue", "CreateScope", "CreateTextFileReader", "CreateTreeCursor",
         "CloneCommonWorld", "FileStoreHandlerCreate", "IndexCreate", "IntIndexCreate",
         "LongIndexCreate", "PackRecords", "PackedFC", "RedisStoreHandlerCreate",
         "StringIndexCreate", "TimerBegin"),
        _OPAQUE,
    ),
}  # fmt: skip

_DEFAULT = Schema()


def schema(op_type: str) -> Schema:
    """Return the traits of an operator type, the default ones for a type without an entry."""
    return SCHEMAS.get(op_type, _DEFAULT)


# Operators that change more than their outputs, or read more than their inputs: a generator of
# random numbers, a file, a queue, a clock, other machines. Among themselves they keep their order.
EFFECTS = frozenset(
    ("AtomicAppend", "AtomicFetchAdd", "AtomicFetchAdd64", "AtomicIter", "CheckAtomicBool",
     "CheckCounterDone", "Checkpoint", "CloseBlobsQueue", "CloseRebatchingQueue",
     "CollectTensor", "ComputeOffset", "ConditionalSetAtomicBool", "CountDown", "CountUp",
     "CreateBlobsQueueDB", "DBExists", "DequeueBlobs", "DequeueRebatchingQueue", "Dropout",
     "EnqueueBlobs", "EnqueueRebatchingQueue", "FloatToFusedRandRowwiseQuantized",
     "GaussianFill", "GetGPUMemoryUsage", "ImageInput", "IndexFreeze", "IndexGet", "IndexLoad",
     "IndexSize", "IndexStore", "Load", "MSRAFill", "Print", "Python", "PythonDLPack",
     "PythonDLPackGradient", "PythonGradient", "QPSMetric", "ReadNextBatch", "ReadRandomBatch",
     "Recurrent", "RecurrentGradient", "ReservoirSampling", "ResetCounter", "ResetCursor",
     "RetrieveCount", "SafeDequeueBlobs", "SafeEnqueueBlobs", "Save", "Snapshot",
     "SortAndShuffle", "SparseDropoutWithReplacement", "StatRegistryExport",
     "StatRegistryUpdate", "StoreAdd", "StoreGet", "StoreSet", "StoreWait", "Summarize",
     "TensorProtosDBInput", "TextFileReaderRead", "TimerBegin", "TimerEnd", "TimerGet",
     "TimerGetAndEnd", "TrimDataset", "UniformFill", "UniformIntFill", "UniqueUniformFill",
     "VideoInput", "WallClockTime", "WeightedMultiSampling", "WeightedSample",
     "WeightedSampleDequeueBlobs", "XavierFill"),
)  # fmt: skip


# Operators without outputs that change nothing besides.
IDLE = frozenset(("Free", "ZeroGradient"))


def has_effects(op_type: str) -> bool:
    """Return whether operators of a type must keep their order whatever blobs they name.

    So do all that make handles, and those of collective communication: every machine must come to
    them in the same order. See `memonger.graph.operator_order.effects` for the operators of a net.
    """
    traits = schema(op_type)
    return op_type in EFFECTS or traits.opaque or traits.keeps_pointers


# Net types whose operators run one after the other, in program order (Caffe2's `simple` family).
SEQUENTIAL_TYPES = frozenset({"", "simple", "simple_refcount"})


def is_sequential(net_type: str) -> bool:
    """Return whether a net of that type runs its operators in program order.

    All others (``dag``, ``async_dag``, ``async_scheduling``, ``async_polling``, unknown ones)
    may run any two operators that do not depend on each other at the same time.
    """
    return net_type in SEQUENTIAL_TYPES
