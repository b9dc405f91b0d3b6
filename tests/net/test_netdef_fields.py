"""The messages agree with Caffe2's in every name, number, label, type, default and packing."""

import csv

import pytest
from google.protobuf.descriptor import FieldDescriptor

from memonger.net.netdef_pb2 import DESCRIPTOR
from tests.golden import folder

TYPES = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


def local_name(descriptor):
    return descriptor.full_name.removeprefix("memonger.net.")


def of_enum(enum):
    return {(local_name(enum), v.name, v.number, "enumerator", "", "", "") for v in enum.values}


def of_field(field):
    kind = TYPES[field.type]
    if field.message_type is not None:
        kind = local_name(field.message_type)
    elif field.enum_type is not None:
        kind = f"enum {local_name(field.enum_type)}"
    default = ""
    if field.has_default_value:
        value = field.default_value
        default = str(value)
    packed = "packed" if field.is_packed else ""
    label = "repeated" if field.is_repeated else "required" if field.is_required else "optional"
    return (
        local_name(field.containing_type),
        field.name,
        field.number,
        label,
        kind,
        default,
        packed,
    )


def of_message(message):
    found = {of_field(field) for field in message.fields}
    for nested in message.nested_types:
        found |= of_message(nested)
    for enum in message.enum_types:
        found |= of_enum(enum)
    return found


def test_every_field_is_caffe2s():
    path = folder() / "netdef-fields.tsv"
    if not path.is_file():
        pytest.skip("no recording of Caffe2's messages")
    with path.open(newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        expected = {
            (r["message"], r["field"], int(r["number"]), r["label"], r["type"], r["default"],
             r["packed"])
            for r in rows
        }  # fmt: skip
    found = set()
    for message in DESCRIPTOR.message_types_by_name.values():
        found |= of_message(message)
    for enum in DESCRIPTOR.enum_types_by_name.values():
        found |= of_enum(enum)
    assert sorted(found - expected) == []
    assert sorted(expected - found) == []
