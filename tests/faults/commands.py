"""Every command that writes, on small inputs: its words, and what is known of its outputs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command; ``IN`` and ``OUT`` in its words are the folders of inputs and outputs.

    Attributes:
        name: for --only and the table.
        words: without ``mien``.
        again: words that are added when it goes on after a fault.
        replaces: an older output may be there and is replaced.
        grows: its files come one after the other and each is whole, so that there may be fewer after a fault.
        cold: started as a user starts it, imports included.
        hook: of ``starter``, for what a test machine lacks.
        needs: what it needs besides mien.
        environment: further variables.
    """

    name: str
    words: str
    again: str = ""
    replaces: bool = True
    grows: bool = False
    cold: bool = False
    hook: str = ""
    needs: str = ""
    environment: tuple[tuple[str, str], ...] = ()


_READ = "--detector none --model fast"
_TABLE = "--data IN/table.parquet"

COMMANDS = (
    Command("start", f"predict IN/pictures {_READ} -o OUT/cold.csv", cold=True),
    Command("predict csv", f"predict IN/pictures {_READ} -o OUT/t.csv"),
    Command("predict resume", f"predict IN/pictures {_READ} --resume -o OUT/t.jsonl"),
    Command("predict json", f"predict IN/pictures {_READ} -o OUT/t.json"),
    Command("predict parquet", f"predict IN/pictures {_READ} -o OUT/t.parquet"),
    Command("annotate pictures", f"predict IN/pictures {_READ} --annotate OUT/copies", grows=True),
    Command("annotate video", f"predict IN/clip.mp4 {_READ} --annotate OUT/drawn.mp4", needs="ffmpeg"),
    Command("summary", f"predict IN/clip.mp4 {_READ} --summary OUT/s.json"),
    Command("timeline", f"predict IN/clip.mp4 {_READ} --timeline OUT/t.png"),
    Command("gallery", f"predict IN/pictures {_READ} --html OUT/g.html"),
    Command("watch", f"watch IN/clip.mp4 {_READ} -o OUT/w.csv", hook="no_window"),
    Command("batch", f"batch IN/pictures {_READ} --shard 10 --workers 1 -o OUT/job", grows=True, needs="ray"),
    Command("import folder", "data import folder IN/classes -o OUT/t.parquet"),
    Command("import parquet", "data import parquet IN/pictures.parquet -o OUT/t.parquet"),
    Command("clean", "data clean IN/table.parquet -o OUT/clean.parquet", grows=True),
    Command("pool", "data pool IN/table.parquet IN/other.parquet -o OUT/pool.parquet"),
    Command("describe", "data describe IN/table.parquet -o OUT/described", grows=True),
    Command("audit", "data audit IN/table.parquet -o OUT/audited", grows=True),
    Command("train", f"train IN/tiny.yaml {_TABLE} --accelerator cpu -o OUT/run", "--resume", replaces=False,
            grows=True),
    Command("train classical", f"train IN/pixels.yaml {_TABLE} -o OUT/run", "--resume", replaces=False, grows=True),
    Command("tune", f"tune IN/tiny.yaml {_TABLE} --over seed=1,2 --set stages.0.epochs=1 -o OUT/runs", grows=True,
            replaces=False),
    Command("crossval", f"crossval IN/seven.yaml {_TABLE} --folds 2 --set data.protocol=kfold --set stages.0.epochs=1"
            " -o OUT/folds", grows=True, replaces=False),
    Command("export", f"export IN/run {_TABLE} -o OUT/m.onnx"),
    Command("export int8", f"export IN/run {_TABLE} --precision int8 -o OUT/m.onnx"),
    Command("evaluate", f"evaluate IN/run/model.onnx {_TABLE} --predictions OUT/p.parquet"),
    Command("evaluate groups", f"evaluate IN/run/model.onnx {_TABLE} --by brightness --predictions OUT/p.parquet"
            " --plot OUT/groups.png", grows=True),
    Command("evaluate ledger", f"evaluate IN/run/model.onnx {_TABLE} --split test --ledger OUT/ledger.csv --why faults"
            " --predictions OUT/p.parquet", grows=True),
    Command("report", f"report IN/run {_TABLE} --no-views -o OUT/page", "--overwrite", replaces=False, grows=True),
    Command("matrix", f"matrix IN/run {_TABLE} -o OUT/m.md --plot OUT/m.png", grows=True),
    Command("sheet", f"sheet IN/run/model.onnx {_TABLE} -o OUT/s.png"),
    Command("explain picture", "explain fast IN/face.png --detector none -o OUT/e.png"),
    Command("explain table", f"explain IN/run/model.onnx {_TABLE} --faces 7 -o OUT/e", "--overwrite", replaces=False,
            grows=True),
    Command("ensemble", f"ensemble IN/run IN/run2 {_TABLE} -o OUT/e", "--overwrite", replaces=False, grows=True),
    Command("ensemble file", f"ensemble IN/run IN/run2 {_TABLE} --overwrite -o OUT/e --pack OUT/both.onnx", grows=True),
    Command("board", f"board IN/runs {_TABLE} --turns 0 -o OUT/b.md --html OUT/b.html --record OUT/b.json", grows=True),
    Command("model page", f"models card IN/run/model.onnx {_TABLE} -o OUT/m.md"),
    Command("recipe copy", "recipes copy fast OUT/fast.yaml", replaces=False),
    Command("app", "app -o OUT/app", hook="small_runtime", needs="yunet", grows=True),
    Command("fetch", "models fetch yunet", hook="local_download", needs="yunet",
            environment=(("MIEN_CACHE", "OUT"), ("MIEN_OFFLINE", "0"))),
)  # fmt: skip
