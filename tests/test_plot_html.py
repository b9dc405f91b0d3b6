import re
import sys

import pytest

from memonger.errors import MissingExtraError
from memonger.instances.order_json import order_from_json, order_to_json
from memonger.instances.plan_json import plan_from_json, plan_to_json
from memonger.problem import Buffer, Problem
from memonger.solver.order import solve_order
from memonger.solver.solve import solve
from tests.solver.test_order_certify import layered

pytest.importorskip("bokeh")

from memonger.plot_html import page_of

EVIL = "</script><script>alert(1)</script>"
PROBLEM = Problem((Buffer("a", 8, 0, 3), Buffer(EVIL, 4, 2, 5), Buffer("c", 0, 1, 2)), "p")


def plan(problem, form):
    return plan_from_json(plan_to_json(problem, solve(problem, form=form)))


@pytest.mark.parametrize("form", ["sharing", "arena"])
def test_the_page_loads_nothing_and_runs_no_name(form):
    page = page_of([(EVIL, plan(PROBLEM, form))])
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "//" not in markup
    assert not re.search(
        r"<script[^>]*\ssrc", re.sub(r"(<script[^>]*>).*?</script>", r"\1", page, flags=re.DOTALL)
    )
    assert EVIL not in page
    assert f"{form} of 3 buffers, optimal" in page


def test_plans_of_all_forms_side_by_side():
    operators = layered(9, 6, 1)
    order = order_from_json(order_to_json(operators, solve_order(operators)))
    page = page_of([("one", plan(PROBLEM, "arena")), ("two", order)])
    assert "order of 9 operators" in page
    assert page.count("<title>one: p, two: layered-9-6</title>") == 1


@pytest.mark.parametrize("form", ["sharing", "arena"])
def test_nothing_to_show(form):
    assert "0 buffers" in page_of([("none", plan(Problem(()), form))])


def test_without_bokeh(monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh.embed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memonger\[html\]'"):
        page_of([("one", plan(PROBLEM, "arena"))])
