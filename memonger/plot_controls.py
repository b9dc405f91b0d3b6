"""What a reader of a page can do: search, filter, ask what is live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource, Div, IndexFilter, LayoutDOM
    from bokeh.plotting import figure as Figure

STYLE = """
:host, h2, p, table { font-family: system-ui, sans-serif; }
h2 { font-size: 17px; margin: 4px 0; overflow-wrap: anywhere; }
p { font-size: 14px; margin: 4px 0; }
table { font-size: 13px; border-collapse: collapse; }
td { padding: 1px 10px 1px 0; }
td + td { text-align: right; }
"""
MARKED = 500
"""Buffers that are marked in a plan when they are found: more of them are seen anyway."""
LISTED = 10
"""Buffers that are named under the load."""

# Names are put into the page as text, never as markup.
_SELECT = """
const wanted = (search.value_input || '').toLowerCase(), least = smallest.value || 0;
const time = when.value;
let found = 0;
const asked = wanted || least > 0 || time !== null;
sources.forEach((source, number) => {
  const {name, size, left, right, alpha} = source.data;
  const names = new Set(), indices = [];  // a buffer with gaps is drawn in pieces
  for (let i = 0; i < name.length; i++) {
    const matches = !wanted || name[i].toLowerCase().includes(wanted);
    const live = time === null || (left[i] <= time && time < right[i]);
    const shown = matches && live && size[i] >= least;
    alpha[i] = shown ? 1 : 0.06;
    if (shown) {
      names.add(name[i]);
      indices.push(i);
    }
  }
  found += names.size;
  marked[number].indices = asked && indices.length <= most ? indices : [];
  source.change.emit();
});
answer.text = asked ? `<p>${found} found</p>` : '<p></p>';
"""
_LIVE = """
const time = Math.floor(cb_obj.x), {left, right, name, taken} = source.data;
const live = new Map();
for (let i = 0; i < name.length; i++) {
  if (left[i] <= time && time < right[i]) live.set(name[i], taken[i]);
}
const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const rows = [...live].sort((a, b) => b[1] - a[1]);
const total = rows.reduce((sum, row) => sum + row[1], 0);
const lines = rows.slice(0, listed).map(
  ([text, bytes]) => `<tr><td>${escape(text)}</td><td>${bytes.toLocaleString('en')}</td></tr>`);
const more = rows.length > listed ? `<p>and ${rows.length - listed} more</p>` : '';
answer.text = `<p>operator ${time}: ${rows.length} live, ${total.toLocaleString('en')} bytes</p>` +
  `<table>${lines.join('')}</table>${more}`;
"""


def controls_of(sources: Sequence[ColumnDataSource], marked: Sequence[IndexFilter]) -> LayoutDOM:
    """Return the search by name and the filters by size and time, for all plans of a page.

    What is found is put into the filters ``marked``, one for each source, if it is not too much.
    """
    from bokeh.layouts import row
    from bokeh.models import CustomJS, Div, Spinner, TextInput

    search = TextInput(title="search by name", width=260)
    smallest = Spinner(title="only buffers of at least so many bytes", low=0, value=0, width=260)
    when = Spinner(title="only what is live at operator", low=0, value=None, width=220)
    answer = Div(text="<p></p>", stylesheets=[STYLE], styles={"align-self": "end"})
    arguments = {
        "sources": list(sources), "search": search, "smallest": smallest, "when": when,
        "answer": answer, "marked": list(marked), "most": MARKED,
    }  # fmt: skip
    select = CustomJS(args=arguments, code=_SELECT)
    search.js_on_change("value_input", select)
    smallest.js_on_change("value", select)
    when.js_on_change("value", select)
    return row(search, smallest, when, answer)


def live_list(source: ColumnDataSource, figures: Sequence[Figure]) -> Div:
    """Return the list of what is live where the mouse is in one of the figures."""
    from bokeh.events import MouseMove
    from bokeh.models import CustomJS, Div

    answer = Div(
        text="<p>move the mouse over a picture: what is live then</p>",
        stylesheets=[STYLE],
        min_height=240,
        sizing_mode="stretch_width",
    )
    arguments = {"source": source, "answer": answer, "listed": LISTED}
    for each in figures:
        each.js_on_event(MouseMove, CustomJS(args=arguments, code=_LIVE))
    return answer
