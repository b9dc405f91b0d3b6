"""Regions of interest, and operators whose shapes no net alone can tell."""

from __future__ import annotations

from memonger.errors import ShapeError
from memonger.net.shapes.rules import OPAQUE, OpContext, Outcome, at_least, rule
from memonger.net.tensors import DataType, TensorType

_DATA_DEPENDENT = (
    "BooleanMask BooleanMaskLengths BooleanUnmask BoxWithNMSLimit "
    "CollectAndDistributeFpnRpnProposals CollectRpnProposals DistributeFpnProposals FlexibleTopK "
    "GenerateProposals GenerateProposalsCPP LengthsGather NonZero PackSegments UnpackSegments "
    "RMACRegions Unique AddPadding RemovePadding GatherRanges"
)
_OBJECTS = (
    "BlobsQueueDB CloneCommonWorld CreateAtomicBool CreateBlobsQueue CreateBlobsQueueDB "
    "CreateCommonWorld CreateCounter CreateDB CreateMap CreateMutex CreateRebatchingQueue "
    "CreateScope CreateTensorVector CreateTextFileReader CreateTreeCursor "
    "FileStoreHandlerCreate IntIndexCreate LongIndexCreate StringIndexCreate StatRegistryCreate "
    "TimerBegin"
)
OPAQUE.update(dict.fromkeys(_DATA_DEPENDENT.split(), "data-dependent"))
OPAQUE.update(dict.fromkeys(_OBJECTS.split(), "not a tensor"))

_ROI_COLUMNS = {"RoIAlignRotated": (5, 6), "RoIPool": (5,)}


@rule("RoIAlign", "RoIAlignRotated", "RoIPool", "Int8RoIAlign")
def _roi(context: OpContext) -> list[Outcome]:
    """Image, regions -> pooled regions, [where the maxima were]."""
    image, regions = context.input(0), context.input(1)
    columns = _ROI_COLUMNS.get(context.op.type, (4, 5))
    if len(image.shape) != 4:
        raise ShapeError(f"image {list(image.shape)} does not have 4 dimensions")
    if len(regions.shape) != 2 or regions.shape[1] not in columns:
        raise ShapeError(f"regions {list(regions.shape)} do not have {columns} columns")
    window = (context.integer("pooled_h", 1), context.integer("pooled_w", 1))
    if min(window) < 1:
        raise ShapeError(f"pooled size {window[0]} x {window[1]} is not positive")
    rows = regions.shape[0]
    if context.channels_last:
        pooled = image.with_shape((rows, *window, image.shape[3]))
    else:
        pooled = image.with_shape((rows, image.shape[1], *window))
    if context.op.type != "RoIPool":
        return [pooled]
    if context.integer("is_test", 0):
        return [pooled, "not written when is_test is set"]
    return [pooled, TensorType(pooled.shape, DataType.INT32)]


@rule("BBoxTransform")
def _bbox_transform(context: OpContext) -> list[Outcome]:
    """Regions, deltas, image sizes -> boxes, [regions of every image]."""
    deltas, sizes = context.input(1), context.optional(2)
    if sizes is None:
        return [deltas]
    at_least("image sizes", sizes, 1)
    return [deltas, sizes.with_shape((sizes.shape[0],))]
