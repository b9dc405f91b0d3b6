"""The pages of `memonger show` and `memonger report`, in a real browser without a network."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from memonger.cli.main import run
from memonger.gaps import Gap
from memonger.instances.arena_families import uniform_trace
from memonger.instances.plan_json import plan_to_json
from memonger.instances.problem_json import problem_to_json
from memonger.problem import Buffer, Problem
from memonger.solver.solve import solve

pytest.importorskip("bokeh")
sync_api = pytest.importorskip("playwright.sync_api")

BROWSER = os.environ.get("MEMONGER_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
NAMED = Problem(
    (
        Buffer("needle", 8 << 20, 0, 4),
        Buffer("hay", 4 << 20, 2, 6),
        Buffer(EVIL, 2 << 20, 5, 9),
        Buffer("haystack", 1 << 20, 0, 9),
    ),
    "named",
)

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no browser found: MEMONGER_CHROMIUM names one"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=BROWSER, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """Return a function that opens a page; no request and no error may come of it."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    faults: list[str] = []

    def handle(route):
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            faults.append(f"request: {route.request.url}")
            route.abort()

    def open_page(path, *, wait=True):
        page = context.new_page()
        page.route("**/*", handle)
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append("a dialog"), dialog.dismiss()))
        page.goto(Path(path).as_uri())
        ready = "window.Bokeh && Bokeh.documents.length == 1 && Bokeh.documents[0].is_idle"
        if wait:
            page.wait_for_function(ready)
        return page

    yield open_page
    context.close()
    assert faults == []


def plan_file(folder, problem, form="arena"):
    path = folder / f"{problem.name}.{form}.json"
    path.write_text(json.dumps(plan_to_json(problem, solve(problem, form=form))))
    return path


def shown(folder, *plans):
    target = folder / "page.html"
    assert run(["show", *map(str, plans), "-o", str(target), "--quiet"]) == 0
    return target


def find(page, text):
    page.get_by_label("search by name").fill(text)


def test_search_filter_and_hover(opened, tmp_path):
    page = opened(
        shown(tmp_path, plan_file(tmp_path, NAMED), plan_file(tmp_path, NAMED, "sharing"))
    )
    find(page, "needle")
    page.get_by_text("2 found").wait_for()  # one in each plan
    find(page, "HAY")
    page.get_by_text("4 found").wait_for()
    find(page, "nothing of the kind")
    page.get_by_text("0 found").wait_for()
    find(page, "<script>")
    page.get_by_text("2 found").wait_for()
    find(page, "")
    page.locator("input[type=text]").nth(1).fill(str(3 << 20))
    page.keyboard.press("Enter")
    page.get_by_text("4 found").wait_for()
    canvas = page.locator(".bk-Figure").first
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.75)
    page.mouse.move(box["x"] + box["width"] * 0.2 + 2, box["y"] + box["height"] * 0.75)
    told = re.compile("needle.*8,388,608|haystack.*1,048,576", re.DOTALL)
    page.locator(".bk-Tooltip").filter(has_text=told).first.wait_for()
    page.get_by_text("2 live, 9,437,184 bytes").wait_for()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "show.png")


def test_what_is_live_adds_up_to_the_load(opened, tmp_path):
    """Sizes are padded, a gap leaves a part, and a buffer in pieces is found once."""
    half = Buffer("half", 1000, 0, 8, gaps=(Gap(2, 4), Gap(4, 6, 0, 300)))
    problem = Problem((half, Buffer("aligned", 100, 0, 8, alignment=64)), "gaps")
    page = opened(shown(tmp_path, plan_file(tmp_path, problem)))
    page.get_by_text("gaps.arena.json: gaps").wait_for()
    box = page.locator(".bk-Figure").first.bounding_box()
    for operator, live in ((1, "2 live, 1,128"), (3, "1 live, 128"), (5, "2 live, 428")):
        x = box["x"] + 75 + (box["width"] - 110) * (operator + 0.5) / 8
        page.mouse.move(x, box["y"] + 200)
        page.mouse.move(x + 1, box["y"] + 200)
        page.get_by_text(f"operator {operator}: {live} bytes").wait_for()
    find(page, "half")
    page.get_by_text("1 found").wait_for()
    find(page, "")
    for operator, count in ((3, 1), (5, 2)):
        page.get_by_label("only what is live at operator").fill(str(operator))
        page.keyboard.press("Enter")
        page.get_by_text(f"{count} found").wait_for()


def test_names_are_text(opened, tmp_path):
    page = opened(shown(tmp_path, plan_file(tmp_path, NAMED)))
    box = page.locator(".bk-Figure").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.5)
    page.get_by_text(EVIL, exact=False).first.wait_for()
    assert page.locator("img").count() == 0


def test_an_order(opened, tmp_path):
    plan = tmp_path / "order.json"
    assert run(["solve", "silero_vad_16k", "--form", "order", "-o", str(plan), "--quiet"]) == 0
    page = opened(shown(tmp_path, plan))
    page.get_by_text("order of 39 operators").wait_for()
    assert page.locator(".bk-Figure").count() == 1


def test_many_buffers(opened, tmp_path):
    problem = uniform_trace(20_000)
    result = solve(problem, "first-fit-size", form="arena")
    plan = tmp_path / "many.json"
    plan.write_text(json.dumps(plan_to_json(problem, result)))
    assert problem_to_json(problem)["name"] == "uniform-20000-0"
    page = opened(shown(tmp_path, plan))
    find(page, "t1999")
    page.get_by_text("11 found").wait_for()
    page.screenshot(path=SCREENSHOTS / "many.png")


def test_the_report_of_a_benchmark(opened, tmp_path):
    """It loads nothing, and wide tables scroll in their box: the page itself is no wider."""
    runs = tmp_path / "runs.jsonl"
    sets = ("random-30", "heavy-30", "churn-30")
    some = ("--algorithms", "by-size,sweep,first-fit-size", "--time-limit", "2s")
    assert run(["bench", *sets, *some, "-o", str(runs), "--quiet"]) == 0
    assert run(["report", str(runs), "-o", str(tmp_path / "report"), "--quiet"]) == 0
    page = opened(tmp_path / "report" / "report.html", wait=False)
    assert page.locator("table").count() > 5
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    costs = page.locator("th", has_text="best cost").first
    table = costs.locator("xpath=ancestor::table")
    column = costs.evaluate("head => head.cellIndex") + 1

    def cells():
        found = table.locator(f"td:nth-child({column})").all_inner_texts()
        return [float(text.replace(",", "")) for text in found]

    for descending in (False, True):
        costs.click()
        assert len(cells()) == 3
        assert cells() == sorted(cells(), reverse=descending)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENSHOTS / f"report-{scheme}.png", full_page=True)
