"""Shape and type inference over NetDef.

A rule per operator type, taken from what Caffe2's operators do, computes the types of
the outputs from those of the inputs. What the net does not determine stays unknown,
with a reason.
"""

from memonger.net.shapes.inference import (
    SUPPORTED,
    Inference,
    Unknown,
    infer_types,
    types_from_init_net,
)

__all__ = ["SUPPORTED", "Inference", "Unknown", "infer_types", "types_from_init_net"]
