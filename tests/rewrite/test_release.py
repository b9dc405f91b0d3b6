"""Free insertion: Caffe2's positions by the recordings, and no reader ever sees a freed blob."""

import random
from collections import Counter

import pytest

from memonger.errors import NetError
from memonger.net.netdef_pb2 import NetDef
from memonger.net.subnets import operands
from memonger.rewrite.release import release_blobs
from tests.golden import MALFORMED, net_of, original, records
from tests.net.notation import net, operator, short, with_net, with_strings

SELECTORS = {
    None: None,
    "even_len": lambda blob: len(blob) % 2 == 0,
    "no_loss": lambda blob: "loss" not in blob,
}

# Recorded nets on which Caffe2 is wrong, and how.
DIFFERING = {
    "free_alias_1": "frees twice what the net frees itself",
    "free_alias_3": "frees twice what the net frees itself",
    "real_mask_rcnn_2go_int8": "frees before an operator in whose net the blob is read",
    "train_misc_3": "frees results: written in place last, in a net without external outputs",
}


def new_frees(before, after):
    """Return the indices of the operators that were inserted; all of them must be Free."""
    inserted, position = [], 0
    for index, op in enumerate(after.op):
        if position < len(before.op) and op == before.op[position]:
            position += 1
        else:
            assert op.type == "Free"
            assert list(op.input) == list(op.output)
            assert not op.HasField("device_option")
            inserted.append(index)
    assert position == len(before.op)
    return inserted


def check(before, after, keep=()):
    """Check that inserted operators are all that differs and that nobody reads what they free.

    A naive execution by names: every write puts a new number under a name, a view the number of
    its source; a Free spoils every name with that number.
    """
    frees = set(new_frees(before, after))
    stripped = NetDef()
    stripped.CopyFrom(after)
    for index in sorted(frees, reverse=True):
        del stripped.op[index]
    assert stripped == before
    outer = {name for op in before.op for name in (*op.input, *op.output)}
    values, freed, dropped = {}, set(), set()
    for index, op in enumerate(after.op):
        if index in frees:
            value = values[op.input[0]]  # written, and by this net
            assert (op.input[0], value) not in dropped, f"{op.input[0]} is freed twice"
            dropped.add((op.input[0], value))
            freed.add(value)
            continue
        touched = operands(op, outer)
        for name in (*touched.reads, *touched.partial):
            value = values.get(name)
            assert value not in freed, f"operator {index} ({op.type}) reads freed {name}"
        if "Alias" in op.type:
            values[op.output[0]] = values.setdefault(op.input[0], op.input[0])
        else:
            for name in touched.writes:
                values[name] = (index, name)
    for name in (*before.external_input, *before.external_output, *keep):
        assert values.get(name) not in freed, f"{name} is freed"
    return [after.op[index].input[0] for index in sorted(frees)]


def frees_twice(net):
    """Return whether a blob is freed that nobody has written since it was freed before."""
    empty = set()
    for op in net.op:
        if op.type == "Free" and op.input[0] in empty:
            return True
        empty.difference_update(op.output)
        if op.type == "Free":
            empty.update(op.output)
    return False


def freed(text, keep=(), selector=None, views=False, **options):
    """Return the released net in the short notation, checked."""
    before = text if isinstance(text, NetDef) else net(text, **options)
    copy = before.SerializeToString()
    after = release_blobs(before, keep, selector, views=views)
    check(before, after, keep)
    assert before.SerializeToString() == copy
    assert release_blobs(after, keep, selector, views=views) == after
    return short(after)


def test_recorded_frees():
    if not records():
        pytest.skip("no recordings")
    counts, differing = Counter(), set()
    for name, record in records().items():
        for case in record["cases"]:
            if case["fn"] != "release_blobs_when_used":
                continue
            before = original(name)
            keep, selector = set(case["args"]["dont_free_blobs"]), case["args"]["selector"]
            if name in MALFORMED:
                counts["not well formed, refused here"] += 1
                with pytest.raises(NetError):
                    release_blobs(before, keep, SELECTORS[selector])
                continue
            after = release_blobs(before, keep, SELECTORS[selector])
            recorded = net_of(case["out"])
            check(before, after, keep)
            if after == recorded:
                counts["equal"] += 1
                continue
            counts[f"differing: {DIFFERING[name]}"] += 1
            differing.add(name)
            if "before" in DIFFERING[name]:
                with pytest.raises(AssertionError, match="reads freed"):
                    check(before, recorded, keep)
            assert ("twice" in DIFFERING[name]) == frees_twice(recorded)
    print("release_blobs", dict(counts))
    assert differing == set(DIFFERING)
    assert counts["equal"] >= 370


def test_after_the_last_reader_in_reversed_order_of_the_inputs():
    assert freed("Relu x > a; Tanh x > b; Add a b > c; Add c a > y") == (
        "Relu x > a; Tanh x > b; Add a b > c; Free b > b; Add c a > y; Free a > a; Free c > c"
    )


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("Relu x > y; Tanh y > z", ()),  # external output
        ("Relu x > x; Tanh x > y", ()),  # external input, in place
        ("Fill > x; Tanh x > y", ()),  # external input, written before it is read
        ("Relu x > a; Tanh a > y", ("a",)),
        ("Relu x > a; Tanh x > y", ()),  # never read
        ("Relu x > a; Alias a > v; Tanh v > y", ()),
        ("Relu x > a; AliasWithName a > v; Tanh v > y", ()),
        ("Relu x > a; Allreduce w a > a; Tanh a > y", ()),  # gloo keeps the address
    ],
)
def test_what_is_never_freed(text, keep):
    assert "Free" not in freed(text, keep, inputs="x w")


def test_the_selector_is_asked():
    text = "Relu x > a; Tanh a > b; Tanh b > y"
    assert freed(text, selector=lambda blob: blob != "a").count("Free") == 1


def test_redefined_blobs_are_freed_after_their_last_reader():
    assert freed("Relu x > a; Tanh a > b; Relu b > a; Tanh a > y") == (
        "Relu x > a; Tanh a > b; Relu b > a; Free b > b; Tanh a > y; Free a > a"
    )
    # The last version is never read: the one before is freed, and written anew.
    assert freed("Relu x > a; Tanh a > y; Relu y > a") == (
        "Relu x > a; Tanh a > y; Free a > a; Relu y > a"
    )


def test_what_is_written_in_place_last_is_a_result_unless_outputs_are_declared():
    text = "Relu x > a; Tanh a > a"
    assert "Free" not in freed(text, outputs="")
    assert freed(text + "; Relu x > y").endswith("Tanh a > a; Free a > a; Relu x > y")


def test_what_is_freed_already_is_not_freed_again():
    text = "Relu x > a; Tanh a > b; Free a > a; Tanh b > y"
    assert freed(text).count("Free a") == 1


def test_b11_nets_inside_operators_read():
    inside = with_net(operator("If c >"), then_net=net("Tanh a > y", "", ""))
    before = net("Relu x > a; Tanh a > y", inputs="x c")
    before.op.append(inside)
    assert freed(before) == "Relu x > a; Tanh a > y; If c > ; Free a > a"
    # In parallel nothing orders a Free and an operator that does not say what it reads.
    before.type = "dag"
    assert "Free" not in freed(before)


def test_what_a_net_inside_may_leave_as_it_was_is_kept():
    inside = with_net(operator("If c > a"), then_net=net("Tanh x > a", "", ""))
    before = net("", inputs="x c")
    before.op.extend([inside, operator("Relu a > y")])
    assert "Free" not in freed(before)


def test_recurrent_networks():
    recurrent = with_strings(operator("RecurrentNetwork i w > all last"), link_external="all")
    before = net("FC x w > i", inputs="x w")
    before.op.extend([recurrent, operator("Relu all > y")])
    assert freed(before) == (
        "FC x w > i; RecurrentNetwork i w > all last; Free i > i; Relu all > y; Free all > all"
    )


def test_views_are_freed_together_on_demand():
    text = "Relu x > a; Alias a > v; Tanh v > b; Add a b > c; Tanh c > y"
    assert freed(text).count("Free") == 2
    found = freed(text, views=True)
    assert "Add a b > c; Free v > v; Free b > b; Free a > a; Tanh c > y" in found
    assert freed("Relu x > a; Alias a > v; Add a a > b; Tanh v > y", views=True).endswith(
        "Tanh v > y; Free a > a; Free v > v"
    )


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Relu x > a; Alias a > v; Tanh v > y", {"keep": {"a"}}),
        ("Relu x > a; Alias a > v; Tanh v > y", {"outputs": "v y"}),
        ("Relu x > a; Alias a > v; Tanh v > y", {"kind": "dag"}),
        ("Alias x > v; Tanh v > y", {}),
        ("Relu x > a; Alias a > v; Tanh a > y", {}),  # the view is never read: a result?
    ],
)
def test_views_stay_where_one_of_them_must(text, options):
    assert "Free" not in freed(text, views=True, **options)


@pytest.mark.parametrize("kind", ["simple", "dag"])
def test_control_inputs_wait_for_no_more_than_before(kind):
    # Sequential executors do not look at control inputs; in parallel the last operator would
    # wait for Free a, and so for Tanh.
    text = "Relu x > a; Tanh a > y; Sigmoid x > z | a"
    found = freed(text, outputs="y z", kind=kind)
    last = "Free a > a; Sigmoid x > z | a" if kind == "simple" else "Sigmoid x > z | a; Free a > a"
    assert found.endswith(last)
    # Here it follows Tanh anyway: Caffe2's position.
    assert freed("Relu x > a; Tanh a > b; Sigmoid b > y | a", kind=kind) == (
        "Relu x > a; Tanh a > b; Free a > a; Sigmoid b > y | a; Free b > b"
    )


def test_a_net_that_is_not_well_formed():
    with pytest.raises(NetError, match="reads 'q'"):
        release_blobs(net("Relu q > y"), ())


def test_empty_net():
    assert release_blobs(NetDef(), ()) == NetDef()


@pytest.mark.parametrize("seed", range(150))
def test_random_nets(seed):
    rng = random.Random(seed)
    blobs = ["x"]
    before = net("", outputs="")
    views = set()
    for number in range(rng.randint(1, 25)):
        reads = [rng.choice(blobs) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.15:
            output = f"v{number}"
            before.op.append(operator(f"Alias {reads[0]} > {output}"))
            views.update((reads[0], output))
        else:
            fresh = [blob for blob in blobs if blob not in views]
            again = rng.random() < 0.3 and fresh
            output = rng.choice(fresh) if again else f"b{number}"
            before.op.append(operator(f"Add {' '.join(reads)} > {output}"))
        if output not in blobs:
            blobs.append(output)
    before.external_output.append(blobs[-1])
    keep = {rng.choice(blobs)}
    for on_demand in (False, True):
        after = release_blobs(before, keep, views=on_demand)
        names = check(before, after, keep)
        assert len(names) == len(set(names))
        read = {name for op in before.op for name in op.input}
        must = read - views - {"x", blobs[-1]} - keep
        assert must <= set(names) <= read - {"x", blobs[-1]} - keep


def test_the_check_itself_rejects_bad_frees():
    before = net("Relu x > a; Tanh a > b; Add a b > y")
    for index, blob in ((1, "a"), (2, "a"), (3, "y")):
        after = NetDef()
        after.CopyFrom(before)
        ops = list(before.op)
        ops.insert(index, operator(f"Free {blob} > {blob}"))
        del after.op[:]
        after.op.extend(ops)
        with pytest.raises(AssertionError, match="freed"):
            check(before, after)
