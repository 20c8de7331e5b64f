from io import StringIO
from types import SimpleNamespace

from rich.console import Console

from mien.cli.progress import Display


def test_an_epoch_is_one_line_however_narrow_the_console():
    out = StringIO()
    figures = {"loss": 1.5, "validation_top1_ferplus": 0.5, "validation_top1_fer2013": 0.25, "validation_loss_own": 9.0}
    step = SimpleNamespace(epoch=1, epochs=400, step=2, steps=2, images=64, figures=figures)
    with Display(Console(file=out, width=40), 400) as display:
        display.step(step)
    (line,) = out.getvalue().splitlines()
    assert line.startswith("epoch 2/400: loss 1.5000, top1_ferplus 0.5000, top1_fer2013 0.2500, ")
    assert line.endswith(" images/s")
