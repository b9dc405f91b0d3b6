"""Caffe2's memonger under its own names, and the optimum by the same function."""

import memonger.caffe2 as memonger
from memonger.instances.nets import build
from memonger.net.shapes.inference import infer_types

built = build("resnet50")
sizes = {blob: t.nbytes for blob, t in infer_types(built.net, built.types).blobs.items()}
static = [*built.net.external_input, *built.net.external_output]
for algorithm in (memonger.AssignmentAlgorithm.GREEDY, memonger.AssignmentAlgorithm.OPTIMAL):
    done = memonger.optimize_interference(built.net, static, blob_sizes=sizes, algo=algorithm)
    print(f"{algorithm.name}: {memonger.get_memory_usage(done.assignments):,} bytes")
