import hashlib
from collections import Counter
from itertools import pairwise

import pytest

from memonger.errors import InputError
from memonger.instances.draws import Draws
from memonger.instances.families import FAMILIES, MAX_BUFFERS
from memonger.instances.network_families import NETWORKS, Tape
from memonger.result import Proof, Status
from memonger.solver.solve import solve

DIGESTS = {
    "random": "7416d6569a090706",
    "heavy": "aa7dbef3d0281a02",
    "adversarial": "314837f7a5bc06d6",
    "randwire": "3e93d4532303b366",
    "densenet": "cc6d317fe5af5661",
    "inception": "9abf98d84832599f",
    "resnet": "b8d2f6d21a7f6765",
    "unet": "8e43b6c1c4526d18",
    "transformer": "a6c98fdd84ec92cd",
    "resnet-train": "05ecce35f5d4c24a",
    "bursty": "fa26c01eb6539984",
    "powers": "d69fa345bbcf08fa",
}


def rows_of(problem):
    return [(b.size, b.start, b.end) for b in problem.buffers]


def digest(problem):
    return hashlib.sha256(repr(rows_of(problem)).encode()).hexdigest()[:16]


def test_every_family_is_pinned_and_named():
    assert set(FAMILIES) == set(DIGESTS)
    assert set(NETWORKS) < set(FAMILIES)
    for name, family in FAMILIES.items():
        assert family.name == name
        assert family.summary
        assert "\n" not in family.summary


@pytest.mark.parametrize("name", FAMILIES)
def test_problems_never_change(name):
    """Recorded: benchmarks speak of these problems on every platform and Python."""
    problem = FAMILIES[name](60, seed=3)
    assert digest(problem) == DIGESTS[name]
    assert problem.name == f"{name}-60-3"


@pytest.mark.parametrize("name", FAMILIES)
def test_seeds_matter(name):
    assert len({digest(FAMILIES[name](300, seed)) for seed in range(5)}) == 5
    assert digest(FAMILIES[name](300)) == digest(FAMILIES[name](300, seed=0))


@pytest.mark.parametrize("n", [1, 2, 3, 8, 31, 100, 1000])
@pytest.mark.parametrize("name", FAMILIES)
def test_number_of_buffers_is_exact(name, n):
    problem = FAMILIES[name](n, seed=1)
    assert len(problem) == n
    assert all(b.size > 0 and b.size % 64 == 0 for b in problem.buffers)
    assert len({b.name for b in problem.buffers}) == n


@pytest.mark.parametrize("n", [0, -1, MAX_BUFFERS + 1])
def test_numbers_out_of_range_are_refused(n):
    with pytest.raises(InputError, match=f"1 to 1000000 buffers, not {n}"):
        FAMILIES["random"](n)


@pytest.mark.parametrize("name", NETWORKS)
def test_operators_of_networks_write_one_tensor_each(name):
    problem = FAMILIES[name](500, seed=2)
    assert [b.start for b in problem.buffers] == list(range(500))
    assert max(b.end for b in problem.buffers) == 500


@pytest.mark.parametrize("name", NETWORKS)
def test_every_operator_of_a_network_reads_something(name):
    """All but the first operator, and the first ones of dense networks in a row."""
    tape = NETWORKS[name](Draws("reads"), 400)
    assert len(tape.sizes) >= 400
    sources = [time for time, inputs in enumerate(tape.inputs) if not inputs]
    assert sources[0] == 0
    assert name == "densenet" or len(sources) == 1
    for time, inputs in enumerate(tape.inputs):
        assert all(0 <= tensor < time < tape.ends[tensor] for tensor in inputs)


@pytest.mark.parametrize("name", ["resnet", "unet", "transformer", "resnet-train"])
def test_real_networks_have_few_sizes_and_meet_the_threshold_bound(name):
    for seed in range(3):
        problem = FAMILIES[name](400, seed)
        assert len(set(problem.sizes.tolist())) <= 8
        result = solve(problem, workers=1)
        assert (result.status, result.proof) == (Status.OPTIMAL, Proof.THRESHOLD)


@pytest.mark.parametrize("algorithm", ["caffe2-greedy", "best-fit", "sweep", "by-size"])
def test_greedy_rules_fail_on_the_adversarial_family(algorithm):
    for seed in range(3):
        problem = FAMILIES["adversarial"](80, seed)
        best = solve(problem, workers=1)
        assert best.status is Status.OPTIMAL
        assert solve(problem, algorithm).objective > best.objective


def test_heavy_tails():
    sizes = sorted(FAMILIES["heavy"](1000).sizes.tolist())
    assert len(set(sizes)) > 250
    assert sizes[-1] > 50 * sizes[500]


def test_few_sizes_where_the_summary_says_so():
    assert len(set(FAMILIES["random"](1000).sizes.tolist())) <= 30
    assert len(set(FAMILIES["randwire"](1000).sizes.tolist())) <= 20


def test_outputs_in_dense_blocks_live_to_the_end_of_the_block():
    problem = FAMILIES["densenet"](2000, seed=4)
    ends = Counter(b.end for b in problem.buffers)
    blocks = sorted(end for end, count in ends.items() if count > 3 and end < 2000)
    assert len(blocks) > 10
    for start, end in pairwise(blocks):
        # The input of the block is written by a transition: one operator reduces, one halves.
        members = [b for b in problem.buffers if b.end == end]
        assert start + 1 <= members[0].start <= start + 2
        layers = [b.start for b in members[1:]]
        assert all(later - earlier == 3 for earlier, later in pairwise(layers))
    assert len(set(problem.sizes.tolist())) > 150


def test_concatenations_grow_by_what_each_layer_adds():
    sizes = [b.size for b in FAMILIES["densenet"](19, seed=5).buffers]
    concatenations, features = sizes[1::3], sizes[3::3]
    assert concatenations[0] == sizes[0]
    for before, after, added in zip(concatenations, concatenations[1:], features, strict=False):
        assert after == before + added


def test_gradients_of_a_shortcut():
    """x1 = f(x0); x2 = g(x1); x3 = x1 + x2: the gradients of x1 are added up."""
    tape = Tape()
    x0 = tape.op(1)
    x1 = tape.op(2, x0)
    x2 = tape.op(2, x1)
    tape.op(2, x1, x2)
    tape.backward()
    assert tape.inputs[4:] == [(3,), (4, 3), (5, 1, 2), (5, 6), (7, 0, 1)]
    assert tape.sizes == [1, 2, 2, 2, 2, 2, 2, 2, 1]
    assert tape.ends == [9, 9, 7, 6, 6, 8, 8, 9, 9]


def test_what_is_cut_off_keeps_its_inputs_live():
    tape = Tape()
    x = tape.op(8)
    y = tape.op(16, x)
    tape.op(8, x, y)
    assert tape.rows(2) == [(8, 0, 2), (16, 1, 2)]
    assert tape.rows(3) == [(8, 0, 3), (16, 1, 3), (8, 2, 3)]


def test_training_holds_activations_for_the_gradients():
    """The first half of the operators outlives the middle; in inference a few tensors do."""
    middle = {
        name: sum(b.start < 150 < b.end for b in FAMILIES[name](300, seed=0).buffers)
        for name in ("resnet", "resnet-train")
    }
    assert middle["resnet"] <= 4
    assert middle["resnet-train"] > 100


def test_draws_stay_in_range():
    draws = Draws("range")
    assert {draws.between(2, 4) for _ in range(200)} == {2, 3, 4}
    assert {draws.pick("ab") for _ in range(50)} == {"a", "b"}
    tails = [draws.heavy(10, 1000) for _ in range(2000)]
    assert min(tails) >= 10
    assert max(tails) == 1000
    above = sum(tail >= 100 for tail in tails)  # with probability 1/10 each
    assert 150 < above < 250
    hits = sum(draws.chance(0.25) for _ in range(2000))
    assert 400 < hits < 600
