from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from memonger.heuristics import unite as module
from memonger.heuristics.by_size import greedy_by_size
from memonger.heuristics.sharing_table import no_sharing
from memonger.heuristics.unite import unite
from memonger.plan import SharingPlan
from memonger.problem import Buffer, Problem
from memonger.verify import verify_sharing
from tests.strategies import parallel_problems, problems_of_devices


def plan_of(problem, data):
    """Return a valid plan: each buffer alone, or what a heuristic makes of each device."""
    if data.draw(st.booleans()):
        return no_sharing(problem)
    labels = [-1] * len(problem)
    for device in problem.devices:
        own = [i for i, buffer in enumerate(problem.buffers) if buffer.device == device]
        shared = greedy_by_size(problem.subproblem(own)).shared
        for index, label in zip(own, shared, strict=True):
            labels[index] = label * len(problem.devices) + problem.devices.index(device)
    return SharingPlan.of(labels)


@given(st.data())
def test_never_worse_whatever_the_sizes_are(data):
    problem = data.draw(st.one_of(problems_of_devices(), parallel_problems(max_size=9)))
    plan = plan_of(problem, data)
    united = unite(problem, plan)
    verify_sharing(problem, united)
    pairs = set(zip(plan.shared, united.shared, strict=True))
    assert len(pairs) == plan.num_shared  # whole buffers only
    sizes = data.draw(st.lists(st.integers(0, 9), min_size=len(problem), max_size=len(problem)))
    buffers = (replace(b, size=s) for b, s in zip(problem.buffers, sizes, strict=True))
    other = Problem(tuple(buffers), vector_time=problem.vector_time)
    assert united.cost(other) <= plan.cost(other)


@given(st.data())
def test_first_fit_by_the_definition(data):
    problem = data.draw(st.one_of(problems_of_devices(), parallel_problems(max_size=9)))
    plan = plan_of(problem, data)
    lanes: list[list[int]] = []
    for group in sorted(plan.members(), key=lambda group: (-len(group), min(group))):
        for lane in lanes:
            fits = all(not problem.conflict(one, other) for one in lane for other in group)
            devices = {problem.buffers[i].device for i in (*lane, *group)}
            if fits and len(devices) == 1:
                lane.extend(group)
                break
        else:
            lanes.append(list(group))
    found = unite(problem, plan).members()
    assert sorted(map(sorted, found)) == sorted(map(sorted, lanes))


def test_a_buffer_goes_between_two_others():
    rows = [("a", 0, 2), ("b", 4, 6), ("c", 2, 4), ("d", 1, 5), ("e", 6, 7)]
    problem = Problem(tuple(Buffer(name, 1, start, end) for name, start, end in rows))
    assert unite(problem, SharingPlan.of([0, 0, 1, 2, 2])).shared == (0, 0, 0, 1, 1)


def test_the_number_of_looks_is_limited(monkeypatch):
    problem = Problem(tuple(Buffer(f"b{i}", 1, min(i, 2), max(i, 2) + 1) for i in range(5)))
    assert unite(problem, no_sharing(problem)).num_shared == 5
    apart = Problem((*problem.buffers[:2], Buffer("c", 1, 3, 4)))
    assert unite(apart, no_sharing(apart)).num_shared == 2
    monkeypatch.setattr(module, "TRIES", 0)
    assert unite(apart, no_sharing(apart)).num_shared == 3


def test_no_buffers():
    assert unite(Problem(()), SharingPlan(())) == SharingPlan(())
