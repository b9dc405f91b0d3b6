import json

import pytest

from memonger.bench.instances import resolve


def write_problem(path, rows):
    buffers = [
        {"name": f"{i}", "size": size, "start": start, "end": end}
        for i, (size, start, end) in enumerate(rows)
    ]
    path.write_text(json.dumps({"format": "memonger-problem/1", "buffers": buffers}))


@pytest.fixture
def instances(tmp_path):
    """Return a folder of two problems, and of files that are none."""
    folder = tmp_path / "small"
    folder.mkdir()
    write_problem(folder / "easy.json", [(8, 0, 2), (4, 1, 3), (8, 2, 4)])
    write_problem(
        folder / "loose.json",
        [(6, 0, 5), (5, 0, 1), (2, 3, 7), (3, 6, 8), (4, 1, 3), (4, 5, 6)],
    )
    (folder / "notes.json").write_text('{"format": "something else"}')
    (folder / "README.md").write_text("nothing to plan")
    return folder


@pytest.fixture
def easy(instances):
    return resolve([str(instances / "easy.json")])[0]
