"""Arena plans for others: C, TensorFlow Lite for Microcontrollers, Perfetto."""

import json
import re
import shutil
import string
import struct
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memonger.errors import PlanError, ProblemError
from memonger.gaps import Gap
from memonger.instances.c_header import identifiers, plan_to_header
from memonger.instances.perfetto import plan_to_trace
from memonger.instances.tflite_offsets import plan_to_words
from memonger.plan import ArenaPlan
from memonger.problem import Buffer, Problem
from memonger.solver.solve import solve
from tests.oracles import taken_bytes
from tests.strategies import arena_problems, gapped_problems

PROBLEM = Problem(
    (Buffer("a", 8, 0, 2), Buffer("b/1", 6, 1, 3, 4), Buffer("c", 8, 2, 4, 2)), "three"
)
PLAN = ArenaPlan((6, 0, 6))
TWO = Problem(
    (Buffer("a", 8, 0, 2, device="cuda:0"), Buffer("b", 4, 1, 3), Buffer("c", 8, 1, 3)), "two"
)
TWO_PLAN = ArenaPlan((0, 8, 0))
WRONG = ArenaPlan((4, 0, 6))
HEADER = """\
/* 3 buffers, 14 bytes. Made by memonger. */
#ifndef MEMONGER_ARENA_H
#define MEMONGER_ARENA_H

#define ARENA_BYTES 14UL

#define OFFSET_A 6UL /* a: 8 bytes, [0, 2) */
#define OFFSET_B_1 0UL /* b/1: 6 bytes, [1, 3) */
#define OFFSET_C 6UL /* c: 8 bytes, [2, 4) */

#ifndef ARENA_NO_ARRAY
"""


@pytest.mark.parametrize("export", [plan_to_header, plan_to_words, plan_to_trace])
def test_a_plan_that_is_not_valid_is_not_written(export):
    with pytest.raises(PlanError):
        export(PROBLEM, WRONG)


def defines(text):
    """Return the macros of a header that are numbers."""
    found = re.findall(r"^#define (\w+) (\d+)ULL?\b", text, re.MULTILINE)
    assert len(dict(found)) == len(found)
    return {name: int(number) for name, number in found}


def compiled(tmp_path, text, program, *, compiler="cc", options=("-std=c11",)):
    """Compile a program that includes the header, and return what it prints."""
    path = shutil.which(compiler)
    if path is None:
        pytest.skip(f"no {compiler}")
    (tmp_path / "arena.h").write_text(text)
    source = tmp_path / f"main.{'cc' if compiler == 'c++' else 'c'}"
    source.write_text(f'#include "arena.h"\n#include "arena.h"\n{program}')
    warnings = ("-Wall", "-Wextra", "-pedantic", "-Werror")
    subprocess.run(
        [path, *options, *warnings, source, "-o", tmp_path / "main"], check=True, cwd=tmp_path
    )
    return subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout


def test_header():
    text = plan_to_header(PROBLEM, PLAN)
    assert text.startswith(HEADER)
    assert "ARENA_STATIC(4) unsigned char arena[ARENA_BYTES];\n#endif\n\n#endif\n" in text
    assert plan_to_header(PROBLEM, PLAN) == text


def test_header_of_two_devices():
    numbers = defines(plan_to_header(TWO, TWO_PLAN))
    assert numbers == {
        "ARENA_BYTES_HOST": 12,
        "ARENA_BYTES_CUDA_0": 8,
        "OFFSET_A": 0,
        "OFFSET_B": 8,
        "OFFSET_C": 0,
    }


MAIN = r"""
#include <stdint.h>
#include <stdio.h>
int main(void) {
  arena[OFFSET_A] = 1;
  printf("%d %d %d", (int)sizeof arena, (int)((uintptr_t)arena % 64), arena[OFFSET_A]);
  return 0;
}
"""


@pytest.mark.parametrize(
    ("compiler", "options"), [("cc", ("-std=c11",)), ("cc", ("-std=c99",)), ("c++", ())]
)
def test_header_is_compiled(tmp_path, compiler, options):
    odd = Buffer('*/ /* " \\ ??/ \n\u00e4 #', 9, 0, 2, 64)
    problem = Problem((*PROBLEM.buffers, odd))
    text = plan_to_header(problem, ArenaPlan((6, 0, 6, 64)))
    assert text.isascii()
    printed = compiled(tmp_path, text, MAIN, compiler=compiler, options=options)
    assert printed == "73 0 1"


def test_header_without_buffers(tmp_path):
    text = plan_to_header(Problem(()), ArenaPlan(()))
    assert defines(text) == {"ARENA_BYTES": 0}
    assert compiled(tmp_path, text, "int main(void) { return ARENA_BYTES; }\n") == ""


def test_header_of_large_offsets():
    problem = Problem((Buffer("a", 2**40, 0, 1), Buffer("b", 4, 0, 1)))
    text = plan_to_header(problem, ArenaPlan((0, 2**40)))
    assert f"#define OFFSET_B {2**40}ULL" in text


def test_c_aligns_to_powers_of_two():
    problem = Problem((Buffer("a", 4, 0, 1, 3),))
    with pytest.raises(ProblemError, match="'a' is aligned to 3 bytes"):
        plan_to_header(problem, ArenaPlan((0,)))


NAMES = st.lists(st.text("aAbB_/12 \u00e4", min_size=1, max_size=4), max_size=12)


@given(NAMES)
def test_identifiers_are_valid_and_different(names):
    found = list(identifiers(names))
    assert len(set(found)) == len(found) == len(names)
    assert set("".join(found)) <= set(string.ascii_uppercase + string.digits + "_")
    assert all(found)
    assert found == list(identifiers(names))


def words(data):
    return struct.unpack(f"<{len(data) // 4}i", data)


def test_words():
    assert words(plan_to_words(PROBLEM, PLAN)) == (1, 0, 3, 6, 0, 6)
    assert plan_to_words(PROBLEM, PLAN)[:8] == b"\1\0\0\0\0\0\0\0"


def test_words_of_all_tensors():
    tensors = ["w", "c", "a", "w", "b/1", ""]
    assert words(plan_to_words(PROBLEM, PLAN, tensors)) == (1, 0, 6, -1, 6, 6, -1, 0, -1)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (["a", "c"], "buffer 'b/1' is not among the tensors"),
        (["a", "b/1", "c", "a"], "buffer 'a' stands twice"),
        ([], "buffer 'a' is not among"),
    ],
)
def test_tensors_that_do_not_fit(tensors, message):
    with pytest.raises(ProblemError, match=message):
        plan_to_words(PROBLEM, PLAN, tensors)


def test_offsets_that_are_no_int32():
    problem = Problem((Buffer("a", 2**31, 0, 1), Buffer("b", 4, 0, 1)))
    with pytest.raises(ProblemError, match=r"'b' lies at 2147483648: offsets must be below 2\^31"):
        plan_to_words(problem, ArenaPlan((0, 2**31)))
    fits = Problem((replace(problem.buffers[0], size=2**31 - 1), problem.buffers[1]))
    assert words(plan_to_words(fits, ArenaPlan((0, 2**31 - 1))))[-1] == 2**31 - 1


def test_one_arena_alone_has_words():
    with pytest.raises(ProblemError, match="several devices"):
        plan_to_words(TWO, TWO_PLAN)


def test_trace():
    trace = plan_to_trace(PROBLEM, PLAN)
    assert json.loads(json.dumps(trace)) == trace
    assert trace["otherData"] == {"instance": "three", "arena_bytes": 14}
    slices = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    assert [(e["name"], e["tid"], e["ts"], e["dur"], e["args"]) for e in slices] == [
        ("a", 1, 0, 2, {"size": 8, "offset": 6}),
        ("b/1", 2, 1, 2, {"size": 6, "offset": 0}),
        ("c", 1, 2, 2, {"size": 8, "offset": 6}),
    ]
    counters = [(e["ts"], e["args"]["bytes"]) for e in trace["traceEvents"] if e["ph"] == "C"]
    assert counters == [(0, 8), (1, 14), (2, 14), (3, 8), (4, 0)]


def test_trace_of_two_devices():
    events = plan_to_trace(TWO, TWO_PLAN)["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    assert names == {1: "arena", 2: "arena cuda:0"}
    assert {e["name"]: e["pid"] for e in events if e["ph"] == "X"} == {"b": 1, "c": 1, "a": 2}


@given(arena_problems())
def test_tracks_and_counters_by_the_definitions(problem):
    plan = solve(problem, form="arena", workers=1).plan
    if plan is None:
        return
    events = plan_to_trace(problem, plan)["traceEvents"]
    slices = [e for e in events if e["ph"] == "X"]
    assert {e["name"] for e in slices} == {b.name for b in problem.buffers}
    for one in slices:
        for other in slices:
            if one["tid"] == other["tid"] and one["name"] != other["name"]:
                first, second = sorted((one, other), key=lambda e: e["ts"])
                assert first["ts"] + first["dur"] <= second["ts"]
    live = [sum(b.start <= t < b.end for b in problem.buffers) for t in range(8)]
    assert max((e["tid"] for e in slices), default=0) == max(live)
    counters = {e["ts"]: e["args"]["bytes"] for e in events if e["ph"] == "C"}
    for time, used in counters.items():
        assert used == sum(b.size for b in problem.buffers if b.start <= time < b.end)


def test_a_trace_of_gaps():
    half = Buffer("a", 8, 0, 6, gaps=(Gap(1, 2), Gap(2, 4, 0, 4)))
    problem = Problem((half, Buffer("b", 8, 2, 4)))
    events = plan_to_trace(problem, ArenaPlan((0, 4)))["traceEvents"]
    slices = [(e["name"], e["ts"], e["dur"], e["args"]) for e in events if e["ph"] == "X"]
    assert slices == [
        ("a", 0, 1, {"size": 8, "offset": 0}),
        ("a", 2, 2, {"size": 8, "offset": 0, "lower": 0, "upper": 4}),
        ("a", 4, 2, {"size": 8, "offset": 0}),
        ("b", 2, 2, {"size": 8, "offset": 4}),
    ]
    counters = [(e["ts"], e["args"]["bytes"]) for e in events if e["ph"] == "C"]
    assert counters == [(0, 8), (1, 0), (2, 12), (4, 8), (6, 0)]


@given(gapped_problems())
def test_counters_and_slices_with_gaps_by_the_definitions(problem):
    plan = solve(problem, form="arena", workers=1).plan
    if plan is None:
        return
    events = plan_to_trace(problem, plan)["traceEvents"]
    counters = {e["ts"]: e["args"]["bytes"] for e in events if e["ph"] == "C"}
    for time, used in counters.items():
        assert used == sum(len(taken_bytes(problem, i, time)) for i in range(len(problem)))
    for index, buffer in enumerate(problem.buffers):
        own = [e for e in events if e["ph"] == "X" and e["name"] == buffer.name]
        for time in range(8):
            at = [e["args"] for e in own if e["ts"] <= time < e["ts"] + e["dur"]]
            parts = [range(e.get("lower", 0), e.get("upper", e["size"])) for e in at]
            assert (parts or [range(0)]) == [taken_bytes(problem, index, time) or range(0)]
