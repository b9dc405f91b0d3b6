import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from memonger.errors import NetError
from memonger.net.foreign import as_netdef, like
from memonger.net.netdef_pb2 import DESCRIPTOR, NetDef, TensorProto
from memonger.pipeline import optimize
from tests.net.notation import net, ones, short

SMALL = net("Relu x > a; Tanh a > b; Sigmoid b > c; Relu c > y")


@pytest.fixture(scope="module")
def caffe2_netdef():
    """The class ``caffe2.NetDef`` as a real Caffe2 has it: our messages in its package."""
    file = descriptor_pb2.FileDescriptorProto()
    DESCRIPTOR.CopyToProto(file)
    file.name, file.package = "caffe2/proto/caffe2.proto", "caffe2"

    def rename(message):
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(".memonger.net.", ".caffe2.")
        for nested in message.nested_type:
            rename(nested)

    for message in file.message_type:
        rename(message)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe2.NetDef"))


@pytest.fixture
def foreign(caffe2_netdef):
    return caffe2_netdef.FromString(SMALL.SerializeToString())


class CoreNet:
    """As ``caffe2.python.core.Net``."""

    def __init__(self, proto):
        self._proto = proto

    def Proto(self):
        return self._proto


def test_a_foreign_message_is_read_by_its_bytes(foreign, caffe2_netdef):
    assert caffe2_netdef is not NetDef
    assert as_netdef(foreign) == SMALL


def test_an_object_with_proto_is_read(foreign):
    assert as_netdef(CoreNet(foreign)) == SMALL
    assert as_netdef(CoreNet(SMALL)) == SMALL


def test_our_own_message_is_copied():
    mine = as_netdef(SMALL)
    mine.op[0].type = "Tanh"
    assert SMALL.op[0].type == "Relu"


def test_the_message_of_an_object_is_copied():
    holder = CoreNet(as_netdef(SMALL))
    as_netdef(holder).op[0].type = "Tanh"
    assert holder.Proto() == SMALL


def test_the_callers_class_comes_back(foreign, caffe2_netdef):
    assert type(like(SMALL, foreign)) is caffe2_netdef
    assert type(like(SMALL, CoreNet(foreign))) is caffe2_netdef
    assert type(like(SMALL, CoreNet(NetDef()))) is NetDef
    assert like(SMALL, foreign) == foreign
    assert like(SMALL, NetDef()) == SMALL


@pytest.mark.parametrize("wrap", [lambda proto: proto, CoreNet])
def test_optimize_gives_the_callers_class_and_leaves_the_argument(foreign, caffe2_netdef, wrap):
    before = foreign.SerializeToString()
    result = optimize(wrap(foreign), sizes=ones(SMALL)).net
    assert type(result) is caffe2_netdef
    assert foreign.SerializeToString() == before
    assert short(result) == short(optimize(SMALL, sizes=ones(SMALL)).net)
    assert short(result) != short(SMALL)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"\n\x03net",
        "net.pb",
        [],
        object(),
        NetDef,
        TensorProto(dims=[1, 2], data_type=TensorProto.INT64),
        CoreNet(None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_net_is_a_net_error(value):
    with pytest.raises(NetError, match="not a NetDef"):
        as_netdef(value)


def test_a_foreign_net_without_a_required_field_is_a_net_error(caffe2_netdef):
    broken = caffe2_netdef(partition_info=[{"extra_info": "no name"}])
    with pytest.raises(NetError):
        as_netdef(broken)


def test_unknown_fields_of_a_foreign_net_come_back(caffe2_netdef):
    data = SMALL.SerializeToString() + b"\xc2\x3e\x05later"
    foreign = caffe2_netdef.FromString(data)
    assert optimize(foreign, sizes={}).net.SerializeToString() == data
