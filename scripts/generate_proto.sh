#!/usr/bin/env bash
# Regenerate memonger/net/netdef_pb2.py(.pyi) from netdef.proto.
# grpcio-tools 1.81 carries protoc 33.5, whose code runs on protobuf >= 6.33.5:
# the series that ortools 9.15 pins.
set -euo pipefail
cd "$(dirname "$0")/.."
python -m pip install --quiet "grpcio-tools==1.81.1"
python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. memonger/net/netdef.proto
