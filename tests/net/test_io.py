import os
import stat

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memonger.errors import InputError, NetError
from memonger.net import io
from memonger.net.io import load_net, parse_net, save_net, serialize_net
from memonger.net.netdef_pb2 import NetDef
from tests.golden import members, records
from tests.net.notation import net

TINY = NetDef(name="edge_empty")  # its bytes hold nothing but letters and line feeds
SMALL = net("Relu x > a; Tanh a > y")
NETS = {
    "small": SMALL,
    "tiny": TINY,
    "unnamed": NetDef(op=[{"type": "Relu", "input": ["x"], "output": ["y"]}]),
    "non-ascii": NetDef(name="réseau", op=[{"type": "Relu", "input": ["é"], "output": ["日本"]}]),
    "bytes": NetDef(op=[{"type": "A", "arg": [{"name": "s", "s": bytes(range(256))}]}]),
    "nan": NetDef(op=[{"type": "A", "arg": [{"name": "f", "f": float("inf"), "i": -(2**63)}]}]),
}


# Round trips.


@pytest.mark.parametrize("suffix", [".pb", ".pbtxt", ".prototxt", ""])
@pytest.mark.parametrize("name", NETS)
def test_a_saved_net_is_loaded_as_it_was(tmp_path, name, suffix):
    path = tmp_path / f"net{suffix}"
    save_net(NETS[name], path)
    assert load_net(path) == NETS[name]


@pytest.mark.parametrize(
    ("suffix", "text"), [(".pb", False), (".pbtxt", True), (".prototxt", True)]
)
def test_the_extension_decides_how_a_net_is_written(tmp_path, suffix, text):
    path = tmp_path / f"net{suffix}"
    save_net(SMALL, path)
    assert (b"op {" in path.read_bytes()) is text


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_files_are_told_apart_by_content_not_by_name(tmp_path, name, text):
    path = tmp_path / ("net.pb" if text else "net.pbtxt")
    path.write_bytes(serialize_net(NETS[name], text=text))
    assert load_net(path) == NETS[name]


@pytest.mark.parametrize("text", [False, True])
def test_equal_nets_are_written_as_equal_bytes(text):
    other = NetDef()
    other.external_output.append("y")  # set in another order
    other.external_input.append("x")
    other.op.extend(SMALL.op)
    other.type = "simple"
    assert serialize_net(other, text=text) == serialize_net(SMALL, text=text)


@pytest.mark.parametrize("name", records())
def test_recorded_nets_are_written_byte_for_byte(name):
    data = members()[records()[name]["file"]]
    assert serialize_net(parse_net(data)) == data
    text = serialize_net(parse_net(data), text=True)
    assert serialize_net(parse_net(text)) == data


def test_unknown_fields_survive_in_binary_files(tmp_path):
    """A field of a newer Caffe2 (number 1000, and 900 inside an operator) must not be lost."""
    outside, inside = b"\xc2\x3e\x05later", b"\xa2\x38\x05newer"
    op = SMALL.op[0].SerializeToString() + inside
    data = SMALL.SerializeToString() + b"\x12" + bytes([len(op)]) + op + outside
    path = tmp_path / "net.pb"
    save_net(parse_net(data), path)
    written = path.read_bytes()
    assert outside in written
    assert inside in written
    assert len(written) == len(data)


# What is no net.

GARBAGE = {
    "empty": b"",
    "truncated": SMALL.SerializeToString()[:-1],
    "truncated in an operator": SMALL.SerializeToString()[:9],
    "random": bytes(range(255, 0, -7)) * 9,
    "zeros": bytes(100),
    "picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "typo": b'op { type: "Relu" inptu: "x" }',
    "unclosed": b'op { type: "Relu"',
    "wrong type": b'name: "a" num_workers: "two"',
    "prose": b"once upon a time",
    "json": b'{"op": []}',
    "utf-16": 'op { type: "Relu" }'.encode("utf-16"),
    "bad utf-8 in text": b'name: "\\377"',
}


@pytest.mark.parametrize("suffix", [".pb", ".pbtxt"])
@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_refused_in_one_line_that_names_the_file(tmp_path, name, suffix):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(GARBAGE[name])
    with pytest.raises(NetError) as caught:
        load_net(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_typo_in_text_is_located():
    with pytest.raises(NetError, match=r"3:3.*inptu"):
        parse_net(b'name: "n"\nop {\n  inptu: "x"\n}')


@pytest.mark.parametrize("operation", [load_net, lambda path: save_net(SMALL, path)])
@pytest.mark.parametrize("kind", ["directory", "missing", "symlink loop", "below a file"])
def test_paths_that_cannot_be_used_are_input_errors(tmp_path, operation, kind):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"")
    path = {
        "directory": tmp_path,
        "missing": tmp_path / "no" / "net.pb",
        "symlink loop": tmp_path / "loop",
        "below a file": tmp_path / "file" / "net.pb",
    }[kind]
    with pytest.raises(InputError) as caught:
        operation(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [30, 100, 200, 1000, 20_000])
def test_deeply_nested_text_is_parsed_or_refused(depth):
    """Nets in nets in nets: beyond what protobuf allows it is an error of the net, no crash."""
    text = 'op { type: "If" arg { name: "then_net" n { ' * depth + "} } } " * depth
    try:
        found = parse_net(text.encode())
        data = serialize_net(found)
    except NetError:
        assert depth > 30
    else:
        assert depth > 30 or parse_net(data) == found


def test_names_that_are_no_text_are_refused():
    """Protobuf hands such strings over as bytes, which no code expects."""
    data = SMALL.SerializeToString().replace(b"\x01a", b"\x01\xff")
    with pytest.raises(NetError):
        parse_net(data)


def test_a_text_net_without_a_required_field_is_refused_where_it_is_used():
    data = b'op { type: "A" arg { name: "q" qtensors { dims: 1 } } }'
    with pytest.raises(NetError):
        serialize_net(parse_net(data))


# Writing.


def test_the_old_file_is_kept_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "net.pb"
    save_net(TINY, path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    for name in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(io.os, name, fail)
            with pytest.raises(InputError, match=r"net\.pb: cannot write: No space left"):
                save_net(SMALL, path)
        assert load_net(path) == TINY
        assert os.listdir(tmp_path) == ["net.pb"]


def test_a_net_that_cannot_be_serialized_leaves_the_old_file(tmp_path):
    path = tmp_path / "net.pb"
    save_net(TINY, path)
    with pytest.raises(NetError):
        save_net(NetDef(partition_info=[{"extra_info": "no name"}]), path)
    assert load_net(path) == TINY


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755])
def test_the_mode_of_a_replaced_file_stays(tmp_path, mode):
    path = tmp_path / "net.pb"
    save_net(TINY, path)
    path.chmod(mode)
    save_net(SMALL, path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_gets_the_mode_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        save_net(SMALL, tmp_path / "net.pb")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "net.pb").stat().st_mode) == 0o640


@pytest.mark.parametrize("dangling", [False, True])
def test_a_symlink_stays_and_its_target_is_written(tmp_path, dangling):
    target, link = tmp_path / "target.pb", tmp_path / "link.pb"
    link.symlink_to(target)
    if not dangling:
        save_net(TINY, target)
    save_net(SMALL, link)
    assert link.is_symlink()
    assert load_net(target) == SMALL


# Fuzz.


@given(st.binary(max_size=200))
@example(b"\n\nedge_empty")
@example(b"\n\x01a")
def test_random_bytes_are_a_net_or_a_net_error(data):
    message = "fuzz"
    try:
        found = parse_net(data, "fuzz")
    except NetError as error:
        message = str(error)
    else:
        assert isinstance(found, NetDef)
    assert "fuzz" in message
    assert "\n" not in message


@given(st.sampled_from(sorted(NETS)), st.booleans(), st.data())
def test_damaged_nets_are_a_net_or_a_net_error(name, text, data):
    damaged = bytearray(serialize_net(NETS[name], text=text))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged)))
        length = data.draw(st.integers(0, 3))
        damaged[position : position + length] = data.draw(st.binary(max_size=3))
    try:
        found = parse_net(bytes(damaged))
    except NetError:
        return
    again = serialize_net(found)
    assert serialize_net(parse_net(again)) == again if again else found == NetDef()
