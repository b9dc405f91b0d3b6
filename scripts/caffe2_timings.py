"""What the functions of the original needed, measured elsewhere: data of a benchmark."""

from __future__ import annotations

SOURCE = (
    "Caffe2: the memonger of torch 1.10.2 under CPython 3.9 with networkx 2.5.1, CPU seconds of "
    "one thread, measured once on another machine and on a random net of another generator; ~: "
    "extrapolated by its law of growth (x4 a doubling), not run; -: not measured; `crash`: the "
    "stack overflows; `raises`: RecursionError"
)

# Function -> net -> what the original needed at 100, 1,000, 5,000 and 20,000 operators.
ORIGINAL: dict[str, dict[str, tuple[str, str, str, str]]] = {
    "optimize_inference_fast": {
        "chain": ("0.001", "0.005", "0.033", "0.14"),
        "resnet-like": ("<0.002", "0.002", "0.026", "0.18"),
        "random": ("<0.002", "0.006", "0.027", "0.16"),
    },
    "optimize_inference_for_dag": {
        "chain": ("0.003", "0.025", "0.19", "crash"),
        "resnet-like": ("<0.002", "0.066", "1.8", ">40"),
        "random": ("<0.002", "0.12", "3.3", ">40"),
    },
    "compute_ranges": {
        "chain": ("0.001", "0.008", "0.034", "0.16"),
        "resnet-like": ("<0.002", "0.007", "0.038", "0.20"),
        "random": ("<0.002", "0.007", "0.043", "0.21"),
    },
    "compute_assignments, greedy": {
        "chain": ("<0.002", "0.014", "0.32", "5.0"),
        "resnet-like": ("<0.002", "0.017", "0.41", "6.3"),
        "random": ("<0.002", "0.014", "0.27", "4.0"),
    },
    "compute_assignments, dp": {
        "chain": ("0.18", "-", "-", "-"),
        "resnet-like": ("1.2", "-", "-", "-"),
        "random": ("0.32 at 24 blobs", "-", "-", "-"),
    },
    "release_blobs_when_used": {
        "chain": ("0.002", "0.018", "0.091", "0.45"),
        "resnet-like": ("<0.002", "0.018", "0.10", "0.49"),
        "random": ("<0.002", "0.011", "0.073", "0.40"),
    },
    "verify_graph_equality": {
        "chain": ("<0.002", "0.007", "0.026", "0.12"),
        "resnet-like": ("<0.002", "0.004", "0.024", "0.12"),
        "random": ("<0.002", "0.004", "0.021", "0.12"),
    },
    "estimate_memory_usage": {
        "chain": ("0.001", "0.009", "0.044", "0.18"),
        "resnet-like": ("<0.002", "0.007", "0.043", "0.21"),
        "random": ("<0.002", "0.008", "0.038", "0.17"),
    },
    "compute_interference_graph": {
        "chain": ("0.041", "4.8", "~119", "~1,900"),
        "resnet-like": ("0.052", "5.7", "~140", "~2,240"),
        "random": ("0.071", "8.1", "~199", "~3,190"),
    },
    "optimize_interference, greedy": {
        "chain": ("0.043", "4.9", "~119", "~1,910"),
        "resnet-like": ("0.052", "5.1", "~145", "~2,320"),
        "random": ("0.073", "8.3", "~207", "~3,310"),
    },
    "topological_sort_traversal_longest_path": {
        "chain": ("-", "raises", "raises", "raises"),
    },
    "optimize_interference, longest path, greedy": {
        "chain": ("-", "raises", "raises", "raises"),
    },
}  # fmt: skip
