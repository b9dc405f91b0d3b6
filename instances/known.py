"""What is known of the instances that have names: best plans, bounds and their proofs."""

from __future__ import annotations

import fcntl
import functools
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memonger.errors import InputError
from memonger.instances.catalog import data_path
from memonger.net.io import parse_json, read_bytes, write_atomically

FORMAT = "memonger-known/1"
FILE = "best_known.json"
PLANS = "plans"
MAX_PLAN_BYTES = 400_000
"""Of a compressed plan; larger ones are not kept, only what they have shown."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an instance in one form, operators in program order.

    Parameters
    ----------
    digest
        Of the contents of the instance that it is known of.
    objective
        Cost of the best plan, bytes.
    bound
        No plan costs less, bytes.
    status, proof
        Of the result that found it: `memonger.result.Status`, `memonger.result.Proof`.
    certificate
        SHA-256 of the certificate's JSON; ``None`` where the proof is by search.
    plan
        The file that holds plan and certificate, below the folder ``plans``; ``None``: too large.
    version
        Of the memonger that found it.
    """

    digest: str
    objective: int
    bound: int
    status: str
    proof: str | None
    certificate: str | None
    plan: str | None
    version: str

    @property
    def worth(self) -> tuple[int, int, bool, bool]:
        """What makes one entry better than another: the larger is the better."""
        return -self.objective, self.bound, self.certificate is not None, self.plan is not None

    @classmethod
    def of(cls, digest: str, plan: Mapping[str, Any], file: str | None) -> Known:
        """Return what the JSON data of a plan show of the instance of that digest."""
        certificate = plan["certificate"]
        return cls(
            digest,
            plan["objective"],
            plan["bound"],
            plan["status"],
            plan["proof"],
            None if certificate is None else digest_of(certificate),
            file,
            plan["made_by"]["version"],
        )


def known_values(folder: Path | None = None) -> dict[str, dict[str, Known]]:
    """Return instance -> form -> what is known, of those that come with memonger by default.

    Raises
    ------
    InputError
        If the file is malformed. A folder without it knows nothing.
    """
    if folder is None:
        return _shipped()
    path = folder / FILE
    if not path.exists():
        return {}
    data = parse_json(read_bytes(path), str(path))
    try:
        if data["format"] != FORMAT:
            raise InputError(f"{path}: expected the format {FORMAT!r}")
        return {
            name: {form: Known(**entry) for form, entry in forms.items()}
            for name, forms in data["values"].items()
        }
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: malformed") from None


@functools.cache
def _shipped() -> dict[str, dict[str, Known]]:
    return known_values(data_path())


def best_known(label: str, form: str, digest: str) -> Known | None:
    """Return what comes with memonger on an instance, if it is this one by its digest."""
    known = known_values().get(label, {}).get(form)
    return known if known is not None and known.digest == digest else None


def offer(folder: Path, label: str, digest: str, plan: Mapping[str, Any]) -> bool:
    """Keep a plan, checked before, as far as it is better than what a folder knows.

    A certificate is about the problem, whatever the plan: the cheaper plan of two is kept with the
    higher bound of the two. Where the plan that is known was too large to be kept, a new one must
    be at least as good in both.

    Parameters
    ----------
    folder
        Where the values and plans are; made if it does not exist.
    label, digest
        The instance: ``family/name``, and of its contents.
    plan
        JSON data of a plan file.

    Returns
    -------
    bool
        Whether it was better. What is known of other contents under that name is replaced.

    Raises
    ------
    InputError
        If the folder cannot be read or written.
    """
    file = f"{label.replace('/', '__')}.{plan['form']}.json.gz"
    with _locked(folder):
        values = known_values(folder)
        old = values.get(label, {}).get(plan["form"])
        if old is not None and old.digest != digest:
            old = None
        if old is not None and old.plan is not None:
            kept = json.loads(gzip.decompress(read_bytes(folder / PLANS / old.plan)))
            plan = _better_of(kept, plan)
        content = gzip.compress(json.dumps(plan).encode(), 9, mtime=0)
        new = Known.of(digest, plan, file if len(content) <= MAX_PLAN_BYTES else None)
        if old is not None and (old.worth >= new.worth or new.bound < old.bound):
            return False
        values.setdefault(label, {})[plan["form"]] = new
        if new.plan is not None:
            write_atomically(folder / PLANS / file, content)
        else:
            (folder / PLANS / file).unlink(missing_ok=True)
        _write(folder, values)
    return True


def _better_of(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cheaper of two plans for one problem, with the better bound of the two."""
    cheaper = one if one["objective"] <= other["objective"] else other
    surer = max(one, other, key=lambda plan: (plan["bound"], plan["certificate"] is not None))
    claims = {key: surer[key] for key in ("bound", "proof", "certificate")}
    proven = claims["bound"] == cheaper["objective"]
    return {**cheaper, **claims, "status": "optimal" if proven else "feasible"}


def digest_of(certificate: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the JSON of a certificate."""
    return hashlib.sha256(json.dumps(certificate, sort_keys=True).encode()).hexdigest()


def solu_lines(form: str) -> Iterator[str]:
    """Yield what is known in the way of ``.solu`` files: optimum, best value, or best bound."""
    for name, forms in sorted(known_values().items()):
        if form not in forms:
            continue
        entry = forms[form]
        if entry.objective == entry.bound:
            yield f"=opt= {name} {entry.objective}"
        else:
            yield f"=best= {name} {entry.objective}"
            yield f"=bestdual= {name} {entry.bound}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time change a folder."""
    try:
        (folder / PLANS).mkdir(parents=True, exist_ok=True)
        lock = (folder / f".{FILE}.lock").open("w")
    except OSError as error:
        raise InputError(f"{folder}: cannot write: {error.strerror}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(folder: Path, values: dict[str, dict[str, Known]]) -> None:
    data = {
        name: {form: asdict(entry) for form, entry in sorted(forms.items())}
        for name, forms in sorted(values.items())
    }
    text = json.dumps({"format": FORMAT, "values": data}, indent=1) + "\n"
    write_atomically(folder / FILE, text.encode())
