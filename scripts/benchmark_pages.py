#!/usr/bin/env python3
"""Measure how smooth the pages of `memonger show` are, in a headless Chromium; write the table.

    benchmark_pages.py [--browser chromium] [-o docs/benchmarks/pages.md]

Without a GPU: what a reader sees is faster, if anything.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from memonger.instances.arena_families import uniform_trace
from memonger.instances.loading import load_plan
from memonger.instances.plan_json import plan_to_json
from memonger.net.io import write_atomically
from memonger.plot_html import page_of
from memonger.solver.solve import solve

OUTPUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "pages.md"
COUNTS = (200, 2_000, 20_000, 100_000)
READY = "window.Bokeh && Bokeh.documents.length == 1 && Bokeh.documents[0].is_idle"
FRAME = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
ZOOM = """async ([start, end]) => {
  const times = [...Bokeh.documents[0]._all_models.values()].find(
    (m) => m.type === 'Range1d' && m.bounds);
  const begun = performance.now();
  times.setv({start, end});
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - begun;
}"""
HEAD = f"""# How smooth pages are

Made by `scripts/benchmark_pages.py` on {platform.machine()} with two shared processors and no GPU,
in a headless Chromium: arenas of `uniform-N`. Milliseconds until the next frame is painted, median
of five; a zoom to the whole, to a tenth, and to a hundredth of the time.

| buffers | page MB | written s | opened s | whole | tenth | hundredth | search | mouse move |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def measured(page: Page, count: int, folder: Path) -> str:
    """Return the row of a page of so many buffers."""
    problem = uniform_trace(count)
    plan = folder / "plan.json"
    plan.write_text(json.dumps(plan_to_json(problem, solve(problem, "canonical-a", form="arena"))))
    begun = time.perf_counter()
    text = page_of([("plan.json", load_plan(plan))])
    written = time.perf_counter() - begun
    target = folder / f"{count}.html"
    target.write_text(text)
    begun = time.perf_counter()
    page.goto(target.as_uri())
    page.wait_for_function(READY)
    opened = time.perf_counter() - begun
    horizon = int(problem.ends.max())
    zooms = [
        _median(lambda k, part=part: page.evaluate(ZOOM, [k, k + horizon * part]))
        for part in (0.99, 0.1, 0.01)
    ]
    box = page.locator(".bk-Figure").first.bounding_box()
    assert box is not None

    def search(number: int) -> float:
        begun = time.perf_counter()
        page.get_by_label("search by name").fill(f"t{number}")
        page.evaluate(FRAME)
        return 1000 * (time.perf_counter() - begun)

    def move(number: int) -> float:
        begun = time.perf_counter()
        page.mouse.move(box["x"] + 300 + 20 * number, box["y"] + 200)
        page.evaluate(FRAME)
        return 1000 * (time.perf_counter() - begun)

    cells = [*zooms, _median(search), _median(move)]
    numbers = " | ".join(f"{value:.0f}" for value in cells)
    return f"| {count:,} | {len(text) / 1e6:.1f} | {written:.1f} | {opened:.1f} | {numbers} |"


def _median(measure: Callable[[int], float]) -> float:
    return statistics.median(measure(number) for number in range(5))


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--browser", default=shutil.which("chromium"))
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.browser, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        for count in COUNTS:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            rows.append(measured(page, count, Path(folder)))
            print(rows[-1], flush=True)
            page.close()
    write_atomically(options.output, (HEAD + "\n".join(rows) + "\n").encode())


if __name__ == "__main__":
    main()
