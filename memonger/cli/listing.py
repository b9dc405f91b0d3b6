"""What ``memonger info`` lists: instances, algorithms, best known values."""

from __future__ import annotations

from typing import Any

from memonger.cli.console import out, print_json, table
from memonger.instances.catalog import entries_of, graphs, manifest, set_names
from memonger.instances.generators import GENERATORS
from memonger.instances.known import known_values, solu_lines
from memonger.instances.nets import NETS, build

# What an algorithm may be able to do, and how the list of algorithms says it.
_ABILITIES = {
    "proves": "proofs",
    "vector_time": "parallel nets",
    "in_place": "in-place pairs",
    "rules": "rules",
}


def list_instances(*, json_output: bool) -> int:
    """Print the named sets, the built-in nets, the real graphs and the generators."""
    own = manifest()["sets"]
    sets = {
        name: {
            "summary": summary,
            "instances": [e.name for e in entries_of(name)] if name in own else None,
        }
        for name, summary in set_names().items()
    }
    if json_output:
        nets = {name: build(name).description for name in NETS}
        families = {g.name: {"kind": g.kind, "summary": g.summary} for g in GENERATORS.values()}
        print_json({"sets": sets, "nets": nets, "graphs": list(graphs()), "generators": families})
        return 0
    rows = table("named sets", "name", "instances", "description")
    rows.columns[2].justify = "left"
    for name, entry in sets.items():
        members = entry["instances"]
        count = "elsewhere" if members is None else str(len(members))
        rows.add_row(name, count, set_names()[name])
    out.print(rows)
    rows = table("built-in nets", "name", "operators", "description")
    rows.columns[2].justify = "left"
    for name in NETS:
        built = build(name)
        rows.add_row(name, str(len(built.net.op)), built.description)
    out.print(rows)
    rows = table("generators: NAME-N or NAME-N-seedS", "name", "makes a", "description")
    rows.columns[2].justify = "left"
    for generator in GENERATORS.values():
        rows.add_row(generator.name, generator.kind, generator.summary)
    out.print(rows)
    out.print("real graphs: " + ", ".join(graphs()))
    return 0


def print_solu(form: str, *, json_output: bool) -> int:
    """Print the best known values of a form."""
    if json_output:
        known = {name: forms[form] for name, forms in known_values().items() if form in forms}
        print_json({name: {"objective": k.objective, "bound": k.bound, "proof": k.proof}
                    for name, k in known.items()})  # fmt: skip
        return 0
    for line in solu_lines(form):
        print(line)
    return 0


def list_algorithms(*, json_output: bool) -> int:
    """Print the algorithms of all forms."""
    import memonger.solver.order
    import memonger.solver.solve  # noqa: F401  (registers the algorithms)
    from memonger.registry import ARENA, ORDER, SHARING, RegistryOf

    forms: dict[str, RegistryOf[Any]] = {"sharing": SHARING, "arena": ARENA, "order": ORDER}
    if json_output:
        data: dict[str, Any] = {
            form: {a.name: a.summary for a in registry} for form, registry in forms.items()
        }
        data["abilities"] = {
            a.name: {name: getattr(a, name) for name in _ABILITIES} for a in SHARING
        }
        print_json(data)
        return 0
    for form, registry in forms.items():
        rows = table(f"algorithms ({form})", "name", "knows", "summary")
        rows.columns[0].no_wrap = True
        rows.columns[1].max_width = 21
        for column in rows.columns[1:]:
            column.justify = "left"
        for a in registry:
            known = [text for name, text in _ABILITIES.items() if getattr(a, name, False)]
            rows.add_row(a.name, ", ".join(known), a.summary)
        out.print(rows)
    return 0
