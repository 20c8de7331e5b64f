"""What a fresh interpreter loads: recognition must stay small, and importing must do nothing."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "lightning_fabric",
    "timm",
    "matplotlib",
    "fastapi",
    "pyarrow",
    "sklearn",
    "scipy",
    "pandas",
    "pydantic",
    "httpx2",
    "httpcore2",
)


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_mien_loads_next_to_nothing():
    out = run("import sys; before = set(sys.modules); import mien; print(*(set(sys.modules) - before))")
    assert {name.partition(".")[0] for name in out.split()} & {"numpy", "cv2", "onnxruntime", "PIL", *HEAVY} == set()


def test_a_prediction_loads_no_training_table_or_plot_library():
    out = run(
        "import sys, numpy; from mien import Recognizer\n"
        "frame = Recognizer(detector='none').predict(numpy.zeros((48, 48, 3), numpy.uint8), color='rgb')\n"
        "assert len(frame.faces) == 1\n"
        "print(*sys.modules)"
    )
    assert {name.partition(".")[0] for name in out.split()} & set(HEAVY) == set()


@pytest.mark.parametrize(
    "module", ["mien.data.table", "mien.evaluate.metrics", "mien.evaluate.predictions", "mien.cli"]
)
def test_tables_figures_and_the_command_line_load_no_torch(module):
    out = run(f"import sys, {module}; print(*sys.modules)")
    loaded = {name.partition(".")[0] for name in out.split()}
    assert loaded & {"torch", "lightning_fabric", "timm", "matplotlib", "fastapi", "pyarrow", "sklearn"} == set()


def test_a_missing_extra_names_the_install_command():
    program = "import sys; sys.modules['pyarrow'] = None\nfrom mien.data import table\ntable.read('x.parquet')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'mien[tables]'" in done.stderr
