import json

import pytest

from memonger.bench.instances import read_buffers, read_operators, resolve
from memonger.errors import InputError
from memonger.instances.minimalloc_csv import problem_from_csv


def test_a_directory_is_searched_for_instances(instances):
    (instances / "plan.csv").write_text("id,lower,upper,size\na,0,2,4\n")
    (instances / "table.csv").write_text("name,value\nx,1\n")
    found = resolve([str(instances)])
    assert [each.name for each in found] == [
        "small/easy.json",
        "small/loose.json",
        "small/plan.csv",
    ]
    assert {each.family for each in found} == {"small"}
    expected = problem_from_csv("id,lower,upper,size\na,0,2,4\n", "plan.csv")
    assert read_buffers(found[2], "arena").buffers == expected.buffers


def test_patterns_files_and_nets(instances):
    found = resolve([str(instances / "*.json"), str(instances / "easy.json"), "mlp"])
    assert [each.name for each in found] == [
        "small/easy.json",
        "small/loose.json",
        "built-in/mlp",
    ]
    net = found[2]
    assert len(read_buffers(net, "sharing")) > 0
    assert read_operators(net).peak(range(len(read_operators(net)))) > 0


def test_what_is_not_there(tmp_path, instances):
    with pytest.raises(InputError, match="no such file or directory"):
        resolve(["nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no instance in it"):
        resolve([str(tmp_path / "empty")])
    with pytest.raises(InputError, match="no instance in it"):
        resolve([str(tmp_path / "*.nothing")])


def test_two_instances_of_one_name(tmp_path, instances):
    other = tmp_path / "elsewhere" / "small"
    other.mkdir(parents=True)
    (other / "easy.json").write_bytes((instances / "easy.json").read_bytes())
    with pytest.raises(InputError, match=r"called 'small/easy\.json' like"):
        resolve([str(instances), str(other)])


def test_a_file_that_changes_is_refused(instances, easy):
    (instances / "easy.json").write_text((instances / "easy.json").read_text() + "\n")
    with pytest.raises(InputError, match="has changed"):
        read_buffers(easy, "sharing")


def test_a_problem_has_no_operators(easy):
    with pytest.raises(InputError, match="no operators"):
        read_operators(easy)


def test_the_arena_form_leaves_out_pairs_in_place(tmp_path):
    path = tmp_path / "pair.json"
    buffers = [
        {"name": "a", "size": 4, "start": 0, "end": 2},
        {"name": "b", "size": 4, "start": 1, "end": 3},
    ]
    data = {"format": "memonger-problem/1", "buffers": buffers, "in_place": [["a", "b"]]}
    path.write_text(json.dumps(data))
    (instance,) = resolve([str(path)])
    assert read_buffers(instance, "sharing").in_place == ((0, 1),)
    assert read_buffers(instance, "arena").in_place == ()


def test_shapes_beside_a_net_are_used(tmp_path):
    path = tmp_path / "two.pbtxt"
    path.write_text(
        'op { input: "x" output: "a" type: "Relu" } op { input: "a" output: "y" type: "Relu" }\n'
        'external_input: "x" external_output: "y"'
    )
    (instance,) = resolve([str(path)])
    assert read_buffers(instance, "sharing").total == 0
    (tmp_path / "two.shapes.json").write_text('{"x": [2, 3]}')
    assert [each.name for each in resolve([str(tmp_path)])] == [instance.name]
    assert read_buffers(instance, "sharing").total == 24
