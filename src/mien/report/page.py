"""The report page: one self-contained HTML file, and its diagrams as PNG beside it.

Owns what is on the page and where it is written; the look is in ``page.html.j2``, where jinja2 escapes every text.
Nothing on the page is typed in: all figures come from the evidence. Refuses to load anything from a network.
"""

from __future__ import annotations

import base64
import re
import shlex
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien import files
from mien.errors import TrainingError, require
from mien.evaluate import groups
from mien.evaluate.ledger import Ledger
from mien.evaluate.metrics import Figures, measure
from mien.networks.tta import NAMES
from mien.plotting import DPI
from mien.recipes.schema import Recipe
from mien.report import grouping, plots, sections, sheet, views
from mien.report.evidence import Evidence
from mien.report.sections import OutputSection
from mien.report.spread import spread

FILE = "report.html"
_NO_TABLE = "This needs the faces: add --data FILE."


@dataclass(frozen=True)
class Plot:
    """A diagram on the page: its data URI, and its natural width in CSS pixels."""

    uri: str
    width: int


@dataclass(frozen=True)
class Request:
    """What the page is to be made of.

    Attributes:
        evidence: of the run; the test split is shown if it was scored.
        out: folder for the page and its pictures, made if absent.
        siblings: this and other runs of the same recipe, for the spread over seeds; fewer than two show none.
        data: path of the table, for the commands on the page.
        with_views: score the test-time views, which costs thirteen passes over each split.
        say: told what is being done.
        ledger: keeps the looks of the test-time views at test.
        by: columns that figures are split by; needs the table.
        bins: groups that numbers are cut into.
        persons: column of persons for the intervals of groups; None: the table's groups.
        pictures: file name to PNG, filled while the page is made and written with it.
    """

    evidence: Evidence
    out: Path
    siblings: Sequence[Evidence] = ()
    data: Path | None = None
    with_views: bool = True
    say: Callable[[str], None] = lambda doing: None
    ledger: Ledger | None = None
    by: Sequence[str] = ()
    bins: int = 3
    persons: str | None = None
    pictures: dict[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def split(self) -> str:
        """The split of the sections that show one: test where it was scored."""
        return "test" if "test" in self.evidence.predictions else "validation"

    def keep(self, name: str, png: bytes) -> Plot:
        """Have a picture written beside the page; return it for the page."""
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        self.pictures[f"{slug}.png"] = png
        return Plot(_uri(png), round(int.from_bytes(png[16:20], "big") * 96 / DPI))


def write(request: Request) -> Path:
    """Write the page of a run.

    Returns:
        The page's path.

    Raises:
        WriteError: it cannot be written.
    """
    jinja = require("jinja2", "train")
    environment = jinja.Environment(
        autoescape=True, undefined=jinja.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": _percent, "face": _face}
    template = environment.from_string((resources.files("mien.report") / "page.html.j2").read_text(encoding="utf-8"))
    page = template.render(_content(request))
    for name, content in {**request.pictures, FILE: page}.items():
        files.write(request.out / name, content, parents=True)
    return request.out / FILE


def _content(request: Request) -> dict[str, Any]:
    evidence, siblings = request.evidence, request.siblings
    request.say("drawing the diagrams")
    content = {
        "e": evidence,
        "split": request.split,
        "headline": [
            (name, measure(scores)) for name, answers in evidence.predictions.items() for scores in answers.scores
        ],
        "verdicts": [_verdict(measure(scores)) for scores in evidence.predictions[request.split].scores],
        "data": sections.data_section(evidence.table) if evidence.table else None,
        "parts": sections.recipe_parts(evidence.recipe),
        "stages": sections.stage_rows(evidence.recipe) if isinstance(evidence.recipe, Recipe) else [],
        "search": sections.search_section(evidence),
        "recipe_text": evidence.run.recipe.read_text(encoding="utf-8"),
        "curves": _curves(request),
        "outputs": [_output(section, request) for section in sections.output_sections(evidence, request.split)],
        "coverages": sections.COVERAGES,
        "deduplicated": sections.deduplicated_section(evidence),
        "spreads": [s for name in evidence.predictions for s in spread(siblings, name)] if len(siblings) > 1 else [],
        "throughput": _throughput(evidence),
        "commands": _commands(request),
    }
    content |= _groups(request) | _faces(request) | _views(request)
    absent = _absent(content)
    return content | {"absent": [(name, why) for _, name, why in absent], "without": [part for part, _, _ in absent]}


def _verdict(figures: Figures) -> dict[str, Any]:
    """One output in one sentence: how many faces are right, and which label is found most and least often."""
    seen = [found for found in figures.classes if found.n]
    return {
        "label_set": figures.label_set,
        "right": round(figures.top1 * figures.n),
        "n": figures.n,
        "top1": figures.top1,
        "interval": figures.interval,
        "best": max(seen, key=lambda found: found.recall),
        "worst": min(seen, key=lambda found: found.recall),
    }


def _absent(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The sections that the page goes without: id, what they would show, and what they need."""
    needs = (
        ("mistakes", "most confident mistakes", content["heat_reason"]),
        ("groups", "figures per group", content["groups_reason"]),
        ("heat", "where the network looks", content["heat_reason"]),
        ("views", "test-time views", content["views_reason"]),
        ("copies", "test faces without copies", "needs --test, --data and a run by the official protocol."),
        ("spread", "spread over seeds", "train the recipe with --set seed=2 and give all run folders to mien report."),
    )
    shown = {"copies": content["deduplicated"], "spread": content["spreads"]}
    return [(part, name, why) for part, name, why in needs if not shown.get(part, content.get(part))]


def _curves(request: Request) -> Plot | None:
    """The learning curves; none of a classical run."""
    evidence = request.evidence
    if not isinstance(evidence.recipe, Recipe):
        return None
    return request.keep("curves", plots.curves(evidence.history, evidence.stages, evidence.kept))


def _output(section: OutputSection, request: Request) -> dict[str, Any]:
    name = section.figures.label_set
    before, after = section.bins
    panels = {
        "before": (before, section.ece[0]),
        "after": (after, section.ece[1]),
    }
    labels = section.scores.labels
    return {
        "section": section,
        "confusion": request.keep(f"confusion-{name}", plots.confusion(section.confusion, labels, name)),
        "reliability": request.keep(f"reliability-{name}", plots.reliability(panels, name)),
        "coverage": request.keep(f"coverage-{name}", plots.coverage(section.coverage, name)),
    }


def _groups(request: Request) -> dict[str, Any]:
    """Figures by group, with their plot; needs the table."""
    evidence, split = request.evidence, request.split
    if evidence.table is None or not request.by:
        reason = _NO_TABLE if request.by else "Not asked for: add --by COLUMN."
        return {"groups": [], "groups_plot": None, "groups_reason": reason}
    request.say("comparing groups")
    divided = grouping.divide(evidence.table.split(split), request.by, request.bins, request.persons)
    found = [groups.compare(scores, one) for scores in evidence.predictions[split].scores for one in divided]
    shown = [
        {
            "title": f"{one.label_set} by {one.column}",
            "head": [one.column, "n", "clusters", *grouping.HEAD],
            "rows": [(g.name, g.n, g.clusters, grouping.cells(g)) for g in (*one.groups, one.whole)],
            "gaps": [grouping.said(gap, one) for gap in one.gaps],
            "warnings": one.warnings,
        }
        for one in found
    ]
    return {"groups": shown, "groups_plot": request.keep("groups", plots.groups(found)), "groups_reason": ""}


def _faces(request: Request) -> dict[str, Any]:
    """Mistakes and heat maps; both need the table."""
    evidence, split = request.evidence, request.split
    if evidence.table is None:
        return {"mistakes": {}, "heat": [], "heat_reason": _NO_TABLE}
    wrong = {}
    for scores in evidence.predictions[split].scores:
        wrong[scores.label_set] = faces = sections.mistakes(evidence, split, scores)
        if faces:
            title = f"{evidence.run.path.name}: most confident mistakes, {scores.label_set}, {split}"
            request.keep(f"mistakes-{scores.label_set}", sheet.draw(faces, title))
    request.say("asking where the network looks")
    try:
        heat = sections.heat_sections(evidence, split)
    except TrainingError as error:
        return {"mistakes": wrong, "heat": [], "heat_reason": str(error)}
    for section in heat:
        faces = [replace(face, pixels=over) for face, over in zip(section.faces, section.overlays, strict=True)]
        title = f"{evidence.run.path.name}: where the network looks, {section.label_set}, {split}"
        request.keep(f"heatmaps-{section.label_set}", sheet.draw(faces, title))
    return {"mistakes": wrong, "heat": heat, "heat_reason": ""}


def _views(request: Request) -> dict[str, Any]:
    evidence = request.evidence
    if evidence.table is None:
        return {"views": [], "views_reason": _NO_TABLE}
    if not request.with_views:
        return {"views": [], "views_reason": "Not scored: the page was made with --no-views."}
    if not isinstance(evidence.recipe, Recipe):
        return {"views": [], "views_reason": "Not scored: test-time views are of networks."}
    found = []
    for split in evidence.predictions:
        request.say(f"scoring {split} with test-time views")
        found += views.compare(evidence.run, evidence.recipe, evidence.card, evidence.table, split, request.ledger)
    refused = [view for view in NAMES if view not in {line.view for line in found}]
    reason = f"This network does not take faces of other sizes, so not {', '.join(refused)}." if refused else ""
    return {"views": found, "views_reason": reason}


def _throughput(evidence: Evidence) -> float | None:
    """Images a second in training: the run's own record, else the mean of its epochs, else None."""
    if evidence.state.get("images_per_second"):
        return float(evidence.state["images_per_second"])
    rates = [row["images_per_second"] for row in evidence.history if "images_per_second" in row]
    return statistics.mean(rates) if rates else None


def _commands(request: Request) -> list[str]:
    evidence, out = request.evidence, request.out
    run, table = evidence.run.path, str(request.data) if request.data else "FILE"
    report = ["mien", "report", str(run), "--data", table]
    report += ["--test"] if "test" in evidence.predictions else []
    report += [] if request.with_views else ["--no-views"]
    report += [word for column in request.by for word in ("--by", column)]
    report += ["--bins", str(request.bins)] if request.by and request.bins != Request.bins else []
    report += ["--persons", request.persons] if request.persons else []
    report += [] if out == run / "report" else ["-o", str(out)]
    train = ["mien", "train", str(evidence.run.recipe), "--data", table, "-o", f"{run}-again"]
    return [shlex.join(train), shlex.join(report)]


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f}"


def _face(pixels: NDArray[np.uint8]) -> str:
    """A picture as data URI."""
    return _uri(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes())


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
