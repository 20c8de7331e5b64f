import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from mien.data import protocol
from mien.evaluate import metrics, predictions
from mien.report import evidence, page, sections, views
from mien.report.spread import repeats, spread
from support.kept_looks import LOOK

pytestmark = pytest.mark.slow


class Links(HTMLParser):
    """Every address that a browser would fetch, every id, and the tags that are open at the end."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.ids, self.anchors, self.open = [], set(), set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.add(values.get("id"))
        if tag == "a":
            self.anchors.add(values["href"].removeprefix("#"))
        self.fetched += [values[k] for k in ("src", "srcset", "data") if k in values]
        if tag in {"script", "link", "iframe", "object"}:
            self.fetched.append(tag)
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def found(tiny_runs, patterns):
    return [evidence.gather(run, patterns, ("validation", "test"), LOOK) for run in tiny_runs]


@pytest.fixture(scope="module")
def written(found, tmp_path_factory):
    out = tmp_path_factory.mktemp("page")
    return page.write(page.Request(found[0], out, siblings=found, ledger=LOOK))


@pytest.fixture(scope="module")
def text(written):
    return written.read_text(encoding="utf-8")


def test_the_page_is_whole_and_fetches_nothing(text):
    links = Links(text)
    assert links.open == []
    assert links.anchors <= links.ids
    assert links.fetched
    assert all(address.startswith("data:image/png;base64,") for address in links.fetched)
    assert "://" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_its_pictures_lie_beside_it(written):
    names = {path.name for path in written.parent.glob("*.png")}
    for kind in ("confusion", "reliability", "coverage", "mistakes", "heatmaps"):
        assert {f"{kind}-ferplus.png", f"{kind}-fer2013.png"} <= names
    assert "curves.png" in names


def test_every_headline_figure_is_that_of_the_predictions(text, found):
    for split, answers in found[0].predictions.items():
        for scores in answers.scores:
            f = metrics.measure(scores)
            row = re.search(rf"{split}, {scores.label_set}</th>(.*?)</tr>", text, re.S)
            assert row
            cells = re.findall(r"[\d.,]+", re.sub(r"<[^>]+>", " ", row[1]))
            stated = [float(cell.replace(",", "")) for cell in cells]
            shares = (f.top1, *f.interval, f.macro_f1, f.balanced_accuracy)
            assert stated == pytest.approx([f.n, *(100 * share for share in shares), f.ece], abs=0.0051)


def test_the_verdict_comes_first_and_counts_the_right_answers(text, found):
    first = text.partition("<section")[2].partition("<table")[0]
    for scores in found[0].predictions["test"].scores:
        part = scores.labelled()
        right = int((part.probabilities.argmax(axis=1) == part.truth).sum())
        assert f"Right on <strong>{right} of {len(part.truth)}</strong> test faces by the {scores.label_set}" in first


def test_a_section_without_content_is_absent_and_named_at_the_end(text, found, tmp_path):
    assert "groups" not in Links(text).ids
    assert "figures per group: Not asked for: add --by COLUMN." in text.partition('<section id="absent">')[2]
    plain = evidence.gather(found[0].run.path, None, ("validation",))
    other = page.write(page.Request(plain, tmp_path)).read_text(encoding="utf-8")
    gone = {"mistakes", "groups", "heat", "views", "copies", "spread"}
    assert not gone & Links(other).ids
    assert not gone & Links(other).anchors


def test_text_from_outside_is_escaped(text):
    assert "stripes &amp; &lt;b&gt;bars&lt;/b&gt;" in text
    assert "<b>bars" not in text


def test_a_page_with_test_says_so_and_one_without_shows_nothing_of_it(text, found, tmp_path):
    assert "scored the test split" in text
    assert "--test" in text
    plain = evidence.gather(found[0].run.path, found[0].table, ("validation",))
    other = page.write(page.Request(plain, tmp_path, with_views=False)).read_text(encoding="utf-8")
    assert "the test split was not scored" in other
    assert "test, fer" not in other
    assert "--no-views" in other


def test_test_time_views_are_scored_once_and_kept_as_tables(text, found):
    folder = found[0].run.predictions
    for view in ("single", "flip", "ten-crop"):
        table = predictions.read(folder / f"test-{view}.parquet")
        for scores in table.scores:
            f = metrics.measure(scores)
            pattern = rf"test, {scores.label_set}</th><td>{view}</td><td>{f.n}</td><td>{100 * f.top1:.2f}</td>"
            assert re.search(pattern, text)
    single = predictions.read(folder / "test-single.parquet").scores[0]
    file = next(s for s in found[0].predictions["test"].scores if s.label_set == single.label_set)
    assert (single.probabilities.argmax(axis=1) == file.probabilities.argmax(axis=1)).all()
    flip = predictions.read(folder / "test-flip.parquet").scores[0]
    assert not np.allclose(flip.probabilities, single.probabilities)


def test_the_spread_is_mean_and_deviation_over_the_seeds(text, found):
    assert repeats(found[0].recipe, found[1].recipe)
    for s in spread(found, "test"):
        values = [
            metrics.measure(next(p for p in e.predictions["test"].scores if p.label_set == s.label_set)).top1
            for e in found
        ]
        assert s.mean("top1") == pytest.approx(np.mean(values))
        assert s.deviation("top1") == pytest.approx(np.std(values, ddof=1))
        assert f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=1):.2f}" in text
    assert "two, seed 2" in text


def test_the_deduplicated_set_is_that_of_the_protocol(text, found, patterns):
    kept = protocol.apply(patterns, "deduplicated")
    rows = kept.rows[kept.splits == "test"]
    for all_faces, part in sections.deduplicated_section(found[0]):
        scores = next(s for s in found[0].predictions["test"].scores if s.label_set == part.label_set)
        alone = np.isin(scores.rows, rows) & (scores.truth >= 0)
        assert (all_faces.n, part.n) == (int((scores.truth >= 0).sum()), int(alone.sum()))
        hits = scores.probabilities.argmax(axis=1) == scores.truth
        assert part.top1 == pytest.approx(hits[alone].mean())
        assert f"<td>{part.n}</td><td>{100 * part.top1:.2f}</td>" in text


def test_a_view_that_the_network_does_not_take_is_named(found, tmp_path, monkeypatch):
    class Fixed(views.Views):
        def forward(self, faces):
            if self.name == "ten-crop":
                raise RuntimeError("takes 48 px only")
            return super().forward(faces)

    monkeypatch.setattr(views, "Views", Fixed)
    run = shutil.copytree(found[0].run.path, tmp_path / "run")
    (run / "predictions" / "validation-ten-crop.parquet").unlink()
    plain = evidence.gather(run, found[0].table, ("validation",))
    text = page.write(page.Request(plain, tmp_path / "page")).read_text(encoding="utf-8")
    assert "so not ten-crop" in text
    assert "<td>flip</td>" in text


def test_another_recipe_is_no_repetition(found):
    a = found[0].recipe
    assert not repeats(a, a.model_copy(update={"ema": 0.5}))


def test_an_invalid_protocol_is_marked_at_the_top_and_its_copies_are_counted(tiny_runs, patterns, tmp_path):
    run = shutil.copytree(tiny_runs[0], tmp_path / "invalid")
    shutil.rmtree(run / "predictions", ignore_errors=True)
    recipe = run / "recipe.yaml"
    recipe.write_text(
        recipe.read_text()
        .replace("protocol: official", "protocol: oversample-before-split")
        .replace("merge_copies: true", "merge_copies: false")
    )
    marked = evidence.gather(run, patterns, ("validation",))
    text = page.write(page.Request(marked, tmp_path / "page", with_views=False)).read_text(encoding="utf-8")
    assert "invalid" in text.partition("<section")[0]
    assert re.search(r"[1-9]\d* validation faces \([\d.]+ %\) have an identical picture in train", text)


def test_without_the_table_the_page_says_what_is_left_out(found, tmp_path):
    bare = evidence.gather(found[0].run.path, None, ("validation",))
    text = page.write(page.Request(bare, tmp_path)).read_text(encoding="utf-8")
    assert text.count("add --data FILE") >= 3
    assert Links(text).open == []


def test_groups_are_on_the_page_where_they_are_asked_for(found, patterns, tmp_path):
    plain = evidence.gather(found[0].run.path, patterns, ("validation",))
    request = page.Request(plain, tmp_path, with_views=False, by=["brightness"], bins=2)
    text = page.write(request).read_text(encoding="utf-8")
    part = text.partition('<section id="groups">')[2].partition("</section>")[0]
    assert part.count("<h3>") == len(plain.predictions["validation"].scores)
    assert len(re.findall(r">above [\d.]+</th><td>\d+</td>", part)) == part.count("<h3>")
    assert "fewer than 30 faces, too few to judge" in part
    assert (tmp_path / "groups.png").read_bytes().startswith(b"\x89PNG")
    assert "--no-views --by brightness --bins 2" in text
    assert Links(text).open == []
    assert "add --by COLUMN" in page.write(page.Request(plain, tmp_path / "b", with_views=False)).read_text("utf-8")
