"""The public-domain portrait as a moving picture."""

import subprocess
from pathlib import Path

_PORTRAIT = Path(__file__).resolve().parents[2] / "docs" / "astronaut.jpg"


def write_moving_portrait(ffmpeg: str, path: Path, *, seconds: int = 4) -> Path:
    """640x480, 20 frames a second, the picture swaying; the form by the file's suffix."""
    place = "x=64+40*sin(t*2):y=10+6*sin(t*3)"
    command = [ffmpeg, "-y", "-v", "error", "-f", "lavfi", "-i", f"color=gray:size=640x480:rate=20:duration={seconds}"]
    command += ["-i", str(_PORTRAIT), "-filter_complex", f"[0][1]overlay={place},format=yuv420p"]
    command += ["-t", str(seconds), *(["-deadline", "realtime"] if path.suffix == ".webm" else []), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return path
