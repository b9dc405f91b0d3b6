import json
from dataclasses import replace

import pytest

import memonger.tune.study as work
from memonger.bench.instances import Instance, resolve
from memonger.bench.rows import Job, Row
from memonger.bench.statistics import compare
from memonger.cli.main import run
from memonger.errors import InputError
from memonger.parameters import (
    DEFAULTS,
    Parameters,
    parameters_from_json,
    parameters_to_json,
)
from memonger.solver.solve import solve
from memonger.tune import comparison
from memonger.tune.comparison import Gain, report_of
from memonger.tune.study import Plan, cost_of, mean_cost, place_of, references_of, run_all, split

optuna = pytest.importorskip("optuna")

SMALL = [f"{family}-{n}" for family in ("churn", "pinwheel", "random") for n in (12, 14, 16, 18)]


def test_splits():
    instances = resolve(SMALL)
    training, held_out = split(instances, 0.5, 7)
    assert (training, held_out) == split(instances[::-1], 0.5, 7)
    assert {i.name for i in training} | {i.name for i in held_out} == {i.name for i in instances}
    assert not {i.name for i in training} & {i.name for i in held_out}
    for family in ("churn", "pinwheel", "random"):
        assert sum(i.family == family for i in training) == 2
    assert split(instances, 0.5, 8) != (training, held_out)
    with pytest.raises(InputError, match="cannot be split"):
        split(instances[:1], 0.5, 0)


def test_many_families_of_one():
    training, held_out = split([Instance(f"f{i}/x", f"f{i}", "x") for i in range(10)], 0.5, 0)
    assert len(training) == len(held_out) == 5


def test_costs():
    row = Row.of(Job(Instance("a/b", "a", "b"), "arena", "optimal"), "optimal", objective=10)
    at_once = replace(row, history=((0.0, 10, 10),), seconds_to_proof=0.0)
    never = replace(row, objective=None)
    late = replace(row, history=((1.0, 20, 5), (2.0, 10, 5)), seconds_to_proof=None)
    assert cost_of(at_once, 10, 4.0) == 0
    assert cost_of(never, 10, 4.0) == 2
    assert cost_of(late, 10, 4.0) == pytest.approx((1 + 0.5) / 4 + 1)


def test_jobs_of_a_plan():
    one, other = split(resolve(SMALL), 0.5, 0)
    plan = Plan("portfolio", one, other, 2, 1.0)
    jobs = plan.jobs(Parameters({"lns.failures": 9}))
    assert {(job.form, job.algorithm) for job in jobs} == {
        ("sharing", "optimal"),
        ("arena", "optimal"),
    }
    assert len(jobs) == 12
    assert jobs[0].parameters["tuned"]
    plain = plan.jobs(DEFAULTS)
    assert "tuned" not in plain[0].parameters
    assert jobs[0].key != plain[0].key
    lns = replace(plan, target="lns")
    with place_of(lns) as place:
        rows = run_all([*lns.jobs(Parameters({"lns.failures": 9}))[:1], *plain[:1]], place)
    assert json.loads(rows[0].parameters["tuned"])["values"] == {"lns.failures": 9}
    assert all(row.objective for row in rows)


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    """Trials are kept, a study is gone on with, and its parameters are used."""

    monkeypatch.chdir(tmp_path)
    ask = ["tune", *SMALL[:8], "--time-limit", "300ms", "--seeds", "1", "-o", "tuned", "--json"]
    for trials in (2, 3):
        assert run([*ask, "--trials", str(trials)]) == 0
        data = json.loads(capsys.readouterr().out)
        assert data["trials"] == trials
        study = optuna.load_study(
            study_name="kernel-0", storage=f"sqlite:///{tmp_path}/tuned/study.db"
        )
        assert len(study.trials) == trials
    assert study.trials[0].params["kernel.dives"] == 6  # the defaults come first
    found = parameters_from_json(json.loads((tmp_path / "tuned" / "parameters.json").read_text()))
    assert dict(found.values) == data["values"]
    report = (tmp_path / "tuned" / "report.md").read_text()
    assert "# Tuning of kernel" in report
    assert "| all | 4 |" in report
    use = ["--parameters", "tuned/parameters.json"]
    assert run(["solve", "churn-16", "--form", "arena", "--json", *use]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "optimal"
    assert run(["bench", "churn-12", "--algorithms", "optimal", "-o", "r.jsonl", *use, "-q"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("smoke", "--target", "nothing", "-o", "t"), "no target 'nothing'; there are: kernel"),
        (("churn-12", "-o", "t"), "cannot be split"),
        (("nosuch", "-o", "t"), "no set or instance"),
        ((*SMALL[:4], "-o", "t", "--storage", "nothing://x"), "nothing://x: "),
    ],
)
def test_bad_usage(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["tune", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_parameter_files_that_are_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.json").write_text('{"format": "memonger-parameters/1", "values": {"x": 1}}')
    for command in (["solve", "churn-12"], ["bench", "churn-12", "-o", "r.jsonl"]):
        assert run([*command, "--parameters", "p.json"]) == 2
        assert "p.json: no parameter 'x'" in capsys.readouterr().err
    assert run(["solve", "mlp", "--form", "order", "--parameters", "p.json"]) == 2
    assert "--parameters is not for --form order" in capsys.readouterr().err
    assert run(["optimize", "mlp", "--pass", "release", "--parameters", "p.json"]) == 2
    assert "--parameters does not go with --pass release" in capsys.readouterr().err


def test_all_trials_are_measured_from_the_same_bounds():
    """Also by one that is gone on with: the bounds are kept in the study, and never change."""
    instance = resolve(["churn-12"])[0]
    plan = Plan("kernel", [instance], [instance], 2, 1.0)
    job = plan.jobs(DEFAULTS)[0]
    with place_of(plan) as place:
        row = run_all([job], place)[0]
    assert references_of([row, replace(row, bound=row.bound - 1)]) == {
        "arena churn/churn-12": row.bound
    }
    late = replace(row, history=((0.0, 2 * row.bound, 0),), seconds_to_proof=None)
    assert mean_cost([late], {"arena churn/churn-12": row.bound}, 1.0) == pytest.approx(1.5)


def test_an_interrupted_trial_is_tried_again(tmp_path, monkeypatch):
    """The defaults among them, and nothing is drawn a second time."""
    calls = []
    values = (KeyboardInterrupt, 0.5, KeyboardInterrupt, 0.4, 0.6)

    def cost(rows, references, limit):
        calls.append(values[len(calls)])
        if calls[-1] is KeyboardInterrupt:
            raise KeyboardInterrupt
        return calls[-1]

    monkeypatch.setattr(work, "mean_cost", cost)
    monkeypatch.setattr(work, "run_all", lambda jobs, place: [done])
    instance = resolve(["churn-12"])[0]
    done = Row.of(Job(instance, "arena", "optimal"), "optimal", objective=10, bound=10)
    plan = Plan("kernel", [instance], [instance], 3, 1.0)
    url = f"sqlite:///{tmp_path}/study.db"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            work.tune(plan, None, url, "s")
    work.tune(plan, None, url, "s")
    trials = optuna.load_study(study_name="s", storage=url).trials
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert [trial.value for trial in complete] == [0.5, 0.4, 0.6]
    assert complete[0].params["kernel.dives"] == 6
    drawn = [tuple(trial.params.values()) for trial in trials if trial not in trials[:2]]
    assert len(set(drawn)) == len(drawn)


def test_the_verdict_is_that_of_the_test():
    instance = resolve(["churn-12"])[0]
    plan = Plan("kernel", [instance], [instance], 3, 1.0)
    tuned = Parameters({"kernel.dives": 9})
    for differences, verdict in (
        ([-0.1 - k / 100 for k in range(20)], "others: cheaper."),
        ([-0.1 - k / 100 for k in range(20)] + [50.0], "cheaper on most instances, though not"),
        ([0.1, -0.1], "may be noise"),
    ):
        mean = sum(differences) / len(differences)
        gain = Gain("all", 1.0, 1.0 + mean, compare(differences))
        assert verdict in report_of(plan, tuned, [gain])


def test_seeds_are_no_evidence_of_their_own(monkeypatch):
    instances = resolve(["churn-12", "churn-14"])
    plan = Plan("kernel", instances, instances, 1, 1.0)
    jobs_run = []

    def rows_of(jobs, place):
        jobs_run.extend(jobs)
        return [
            Row.of(
                job, "optimal", objective=10, bound=10, seconds_to_proof=0.5 if job.tuned else 1.0
            )
            for job in jobs
        ]

    monkeypatch.setattr(comparison, "run_all", rows_of)
    rows = comparison.compared_runs(plan, None, Parameters({"kernel.dives": 9}), seeds=3)
    found = comparison.gains(plan, rows, seeds=3)
    assert len(jobs_run) == 12
    assert [(gain.family, gain.test.pairs, gain.test.better) for gain in found] == [
        ("all", 2, 2),
        ("churn", 2, 2),
    ]
    assert found[0].after - found[0].before == pytest.approx(-0.5)


def test_a_study_of_other_instances_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ask = ["tune", "--trials", "1", "--seeds", "1", "-o", "tuned", "-q"]
    assert run([*ask, *SMALL[:4], "--time-limit", "200ms"]) == 0
    for changed, what in (
        ([*SMALL[4:8], "--time-limit", "200ms"], "training"),
        ([*SMALL[:4], "--time-limit", "300ms"], "time limit"),
    ):
        assert run([*ask, *changed]) == 2
        assert f"with another {what}: give --study another name" in capsys.readouterr().err
    assert run([*ask, *SMALL[4:8], "--time-limit", "200ms", "--study", "other"]) == 0


def test_optimize_takes_parameters(tmp_path, monkeypatch):
    from memonger import pipeline

    taken = []

    def recorded(problem, algorithm, **options):
        taken.append(options.get("parameters"))
        return solve(problem, algorithm, **options)

    monkeypatch.setattr(pipeline, "solve", recorded)
    file = tmp_path / "p.json"
    file.write_text(json.dumps(parameters_to_json(Parameters({"lns.failures": 7}), {})))
    assert run(["optimize", "mlp", "--parameters", str(file), "--quiet"]) == 0
    assert taken[0].values == {"lns.failures": 7}
