#!/usr/bin/env bash
# Build the wheel, install it away from the checkout, and use it: what users get must hold every
# package and data file. Usage: check_wheel.sh PYTHON (one that has the dependencies).
set -euo pipefail
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git -C "$root" archive HEAD | tar -x -C "$work" --one-top-level=source
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheel" "$work/source"
"$python" -m pip install --quiet --no-deps --target "$work/site" "$work"/wheel/*.whl
cd "$work"
export PYTHONPATH="$work/site"
"$python" - "$work/site" <<'PY'
import importlib.resources, pathlib, sys
import memonger
site = pathlib.Path(sys.argv[1]).resolve()
assert pathlib.Path(memonger.__file__).resolve().is_relative_to(site), memonger.__file__
assert sorted(p.name for p in site.iterdir() if "dist-info" not in p.name) == ["bin", "memonger"]
assert importlib.resources.files("memonger").joinpath("py.typed").is_file()
assert importlib.resources.files("memonger.net").joinpath("netdef.proto").is_file()
PY
"$python" -m memonger optimize mlp --json --output mlp.pb --report report > /dev/null
"$python" -m memonger check mlp mlp.pb > /dev/null
"$python" -m memonger solve silero_vad_16k --json > /dev/null   # data that come with it
"$python" "$root/scripts/check_certificate.py" report/plan.json > /dev/null
echo "the wheel holds everything and works"
