"""``mien predict``: the expressions in pictures, videos and cameras, as tables, and drawn onto copies of them.

What was found goes to stdout or a file; notices, faults and where files were put go to stderr.
"""

from __future__ import annotations

import io
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import notices
from mien.cli.folders import say_left_out
from mien.cli.interruption import interruptible
from mien.cli.notices import counted
from mien.cli.predict_copies import Copies, local_files
from mien.cli.predict_printing import printer
from mien.cli.predict_progress import Way
from mien.errors import MienError
from mien.files import keep_inputs

if TYPE_CHECKING:
    from mien.outputs.gallery import Gallery
    from mien.outputs.summary import Summary
    from mien.outputs.timeline import Timeline

_VIDEO, _FACES = "Videos, cameras and addresses", "Faces"


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, videos, folders, patterns, archives, https:// and rtsp:// addresses, camera:0, or - for a"
            " picture on standard input.",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, one object a picture.")] = False,
    as_lines: Annotated[bool, typer.Option("--jsonl", help="Print JSON Lines, one object a picture.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one line a face.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a table: .csv, .json, .jsonl or .parquet.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Resume the .csv or .jsonl that an interrupted run left.")] = False,
    annotate: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Put copies with the results drawn on them in this folder.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a gallery: one page with thumbnails, boxes and a filter.")
    ] = None,
    hide_faces: Annotated[
        bool, typer.Option("--hide-faces", help="Pixelate the detected faces in annotated copies and the gallery.")
    ] = False,
    summary: Annotated[
        Path | None, typer.Option(help="Write JSON: time per expression and transitions, for each track and clip.")
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(help="Plot the expressions of each track over time: .png, .svg.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many expressions the table shows per face.")] = 3,
    detector: Annotated[
        str,
        typer.Option(
            help="auto, yunet, haar, mediapipe, mtcnn, or none: the whole picture is one face.", rich_help_panel=_FACES
        ),
    ] = "auto",
    search: Annotated[
        str,
        typer.Option(
            help="full: faces of every size; quick: one search at 800 px; auto: full for pictures, quick for videos.",
            rich_help_panel=_FACES,
        ),
    ] = "auto",
    model: Annotated[str | None, typer.Option(help="An installed model or a model file; see mien models.")] = None,
    provider: Annotated[
        str, typer.Option(help="Hardware to compute on: cpu, cuda, coreml, directml or openvino.")
    ] = "cpu",
    align: Annotated[bool, typer.Option(help="Turn tilted faces upright first.", rich_help_panel=_FACES)] = False,
    min_size: Annotated[
        float, typer.Option(min=0, help="Leave out faces smaller than this many pixels a side.", rich_help_panel=_FACES)
    ] = 0,
    error_rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Answer unsure rather than be wrong in more than this share of the answers. Holds, with 95 %"
            " certainty, for faces like those the model was validated on (FER2013's); for others nothing is promised.",
            rich_help_panel=_FACES,
        ),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            help="How often each expression is expected: natural, balanced, or a JSON file. [default: the model's]",
            rich_help_panel=_FACES,
            show_default=False,
        ),
    ] = None,
    stride: Annotated[
        int, typer.Option(min=1, help="Process every N-th frame.", metavar="N", rich_help_panel=_VIDEO)
    ] = 1,
    start: Annotated[float, typer.Option(min=0, help="Second to start at.", rich_help_panel=_VIDEO)] = 0,
    end: Annotated[float | None, typer.Option(help="Second to end at.", rich_help_panel=_VIDEO)] = None,
    track: Annotated[bool, typer.Option(help="Track faces and give each a track id.", rich_help_panel=_VIDEO)] = True,
    smooth: Annotated[
        float,
        typer.Option(min=0, help="Average probabilities over this many seconds; 0: off.", rich_help_panel=_VIDEO),
    ] = 0.4,
    seconds: Annotated[
        float | None,
        typer.Option(help="Stop reading cameras and streams after this many seconds.", rich_help_panel=_VIDEO),
    ] = None,
    private: Annotated[
        bool, typer.Option(help="Allow http and addresses of private networks.", rich_help_panel=_VIDEO)
    ] = False,
) -> None:
    """Read the expressions of the faces in pictures, videos and cameras.

    Exit code 0: all read, with or without faces; 1: some could not be read; 2: none could; 130: interrupted. Cameras
    and streams have no end, so Ctrl-C is the way to leave them, and exits 0.
    """
    forms = [name for name, on in (("json", as_json), ("jsonl", as_lines), ("csv", as_csv)) if on]
    if len(forms) > 1:
        raise typer.BadParameter(f"--{forms[0]} and --{forms[1]} exclude each other")
    if resume and not output:
        raise typer.BadParameter("--resume goes with --output")
    if hide_faces and not (annotate or html):
        raise typer.BadParameter("--hide-faces goes with --annotate or --html")
    if resume and timeline:
        raise typer.BadParameter("--timeline draws what is read in one run: leave out --resume")
    from mien.outputs.summary import Summary
    from mien.outputs.tables import File
    from mien.recognizer import Recognizer
    from mien.sources.sources import ReadOptions, is_live, unread
    from mien.tracking.options import TrackingOptions

    stdout: object = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(errors="backslashreplace")  # file names need not be valid text
    _check_parents(output, html, summary, timeline)
    local = local_files(sources)
    keep_inputs([*local, model, prior], output, html, summary, timeline)
    drawn = _timeline(timeline) if timeline else None
    reading = ReadOptions(every=stride, start=start, end=end, private=private, limit=seconds)
    recognizer = Recognizer(
        model,
        detector,
        align=align,
        min_size=min_size,
        error_rate=error_rate,
        search=search,
        provider=provider,
        prior=prior,
    )
    labels = list(next(iter(recognizer.model.card.outputs.values())).labels)
    total = Summary()
    form = forms[0] if forms else (None if output else "table")
    live, moving = all(map(is_live, sources)), False
    with ExitStack() as closing, interruptible(output, resumes=True, prints=True) as reached:
        # What is printed on a terminal row by row shows by itself how far it is.
        streams = sys.stdout.isatty() and form not in (None, "table")
        barred = notices.on_terminal() and not streams
        tell = closing.enter_context(notices.progress("reading")) if barred else None
        screen = closing.enter_context(printer(form, labels, top, total))
        # The table last, so that what is wrong with the copies is said before it is begun, and it is closed first.
        copies = closing.enter_context(Copies(annotate, sources, notices.say, hide=hide_faces)) if annotate else None
        gallery = closing.enter_context(_gallery(html, hide_faces)) if html else None
        table = None
        if output:
            options = {"every": stride, "start": start, "end": end, "track": track, "smooth": smooth}
            made = recognizer.made() | options
            table = closing.enter_context(File(output, labels, resume=resume, made=made, kept=total.add_rows))
        reading = replace(reading, skip=table.done if table else frozenset[str]())
        way = Way(sources, [path for path in local if str(path) not in reading.skip], reading)
        found = recognizer.read(
            unread(sources, reading),
            TrackingOptions(track=track, smooth=smooth),
            ahead=True,
            pixels=copies is not None or gallery is not None,
        )
        for source_frame, frame in found:
            live = live or (source_frame.live and len(sources) == 1)  # an address may turn out to be a camera
            total.add(frame)
            moving = moving or frame.index is not None
            if tell:
                tell(way.reached(frame), way.length, _counts(total, moving))
            if frame.error is not None:
                notices.tell(frame.error)
            elif copies:
                copies.write(source_frame, frame)
            if frame.note is not None:
                notices.note(f"{frame.source or 'the picture'}: {frame.note}")
            if drawn:
                drawn.add(frame)
            if gallery:
                gallery.write(source_frame.pixels, frame)
            screen.write(frame)
            if table:
                table.write(frame)
    if summary:
        _write_json(summary, total.to_dict())
    if drawn and timeline:
        drawn.save(timeline)
    if html:
        notices.say(f"gallery: {html}")
    say_left_out(sources)
    if reached.interrupted and not live:
        raise typer.Exit(130)
    if total.pictures != 1 or output:  # of a single picture the table says all
        notices.done(_counts(total, moving), output, summary, timeline)
    if total.failed:
        raise typer.Exit(1 if total.failed < total.pictures else 2)


def _timeline(path: Path) -> Timeline:
    from mien.outputs.timeline import SUFFIXES, Timeline

    if path.suffix.lower() not in SUFFIXES:
        raise MienError(f"{path}: a timeline is drawn as {', '.join(SUFFIXES)}")
    return Timeline()


def _gallery(path: Path, hide: bool) -> Gallery:
    from mien.outputs.gallery import Gallery

    return Gallery(path, hide=hide)


def _counts(total: Summary, moving: bool) -> str:
    counts = [counted(total.pictures, "frame" if moving else "picture")]
    counts.append(counted(total.expressions.total(), "face"))
    return ", ".join([*counts, *([f"{total.failed:,} failed"] if total.failed else [])])


def _check_parents(*paths: Path | None) -> None:
    for path in paths:
        if path and not path.parent.is_dir():
            raise MienError(f"cannot write {path}: the folder {path.parent} does not exist")


def _write_json(path: Path, document: dict[str, object]) -> None:
    import json

    from mien.files import write

    write(path, json.dumps(document, indent=1) + "\n")
