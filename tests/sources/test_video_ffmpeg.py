"""Videos made by ffmpeg from a portrait, read as ffmpeg itself decodes them."""

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.detection.haar import Haar
from mien.errors import SourceError
from mien.sources import interlaced, video
from mien.sources.video import read_file

PORTRAIT = Path(__file__).resolve().parents[2] / "docs" / "astronaut.jpg"
SIZE = "scale=240:240,crop=240:176:0:0"
MOVING = "crop=200:160:'mod(n*2,40)':'mod(n,16)'"
FIELDS = {"tff": "tinterlace=interleave_top,setfield=tff", "bff": "tinterlace=interleave_bottom,setfield=bff"}

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="needs ffmpeg and ffprobe, to make the videos"
)


def make(path, filters, *codec, rate=10, seconds=0.8, before=(), after=()):
    """A video of the portrait; returns its path."""
    command = ["ffmpeg", "-loglevel", "quiet", "-nostdin", "-loop", "1", "-framerate", str(rate), "-t", str(seconds)]
    command += ["-i", str(PORTRAIT), *before, "-vf", filters, "-threads", "1", *codec, *after, str(path)]
    made = subprocess.run(command, check=False)
    if made.returncode:
        pytest.skip(f"this ffmpeg cannot write {path.name} with {' '.join(codec)}")
    return path


def decoded(path):
    """Seconds since the first frame of all that ffprobe decodes."""
    command = ["ffprobe", "-v", "quiet", "-select_streams", "v:0", "-of", "csv=p=0"]
    command += ["-show_entries", "frame=best_effort_timestamp_time", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    times = [float(line.strip(",")) for line in said.split() if line.strip(",")]
    return [time - times[0] for time in times]


def pictures(path, shape, filters="null"):
    """All frames as ffmpeg converts them, RGB (N, *shape)."""
    command = ["ffmpeg", "-loglevel", "quiet", "-nostdin", "-i", str(path), "-vf", filters, "-fps_mode", "passthrough"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, *shape)


def agrees(path, filters="null"):
    """The frames, once count, times and pictures were found to be those of ffmpeg."""
    source_frames = list(read_file(path))
    assert [source_frame.error for source_frame in source_frames] == [None] * len(source_frames)
    assert [source_frame.time for source_frame in source_frames] == pytest.approx(decoded(path), abs=2e-3)
    expected = pictures(path, source_frames[0].pixels.shape, filters)
    for source_frame, picture in zip(source_frames, expected, strict=True):
        assert np.abs(source_frame.pixels.astype(int) - picture).mean() < 4
    return source_frames


X264 = ("-c:v", "libx264", "-preset", "ultrafast")
LACED = ("-flags", "+ilme+ildct")
INTERLACED = [
    ("a.mts", "yuv420p", (*X264, *LACED), 50),
    ("a.mp4", "yuv420p", (*X264, *LACED), 60),
    ("a.mpg", "yuv420p", ("-c:v", "mpeg2video", "-q:v", "3", *LACED), 50),
    ("a.mpg", "yuv420p", ("-c:v", "mpeg2video", "-q:v", "3", *LACED), 60000 / 1001),
    ("a.mov", "yuv422p10le", ("-c:v", "prores_ks", *LACED), 50),
]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(("name", "form", "codec", "rate"), INTERLACED)
def test_interlaced_video_is_deinterlaced(tmp_path, name, form, codec, rate, field):
    top = ("-top", "1" if field == "tff" else "0") if "mpeg2video" in codec else ()
    filters = f"{SIZE},{MOVING},{FIELDS[field]},format={form}"
    path = make(tmp_path / name, filters, *codec, *top, rate=rate, seconds=16 / rate)
    source_frames = agrees(path, "yadif=deint=interlaced")
    assert len(source_frames) == 8
    assert [len(Haar().detect(source_frame.pixels)) for source_frame in source_frames].count(1) > 4


def test_an_interlaced_clip_never_shows_the_one_before(tmp_path, monkeypatch):
    still = f"{SIZE},format=yuv420p"
    plain = make(tmp_path / "plain.mp4", f"{SIZE},hflip,format=yuv420p", *X264)
    laced = make(tmp_path / "laced.mp4", f"{still},setfield=tff", *X264, *LACED)
    monkeypatch.setattr(interlaced.shutil, "which", lambda name: None)
    for _ in range(5):
        assert len(list(read_file(plain))) == 8
        with pytest.raises(SourceError, match=r"laced\.mp4: interlaced video.*install the program ffmpeg"):
            list(read_file(laced))


def test_a_part_of_an_interlaced_clip(tmp_path):
    path = make(tmp_path / "a.mp4", f"{SIZE},{MOVING},{FIELDS['tff']},format=yuv420p", *X264, *LACED, rate=20)
    source_frames = list(read_file(path, start=0.3, end=0.6, every=2))
    assert [source_frame.index for source_frame in source_frames] == [3, 5]
    assert [source_frame.time for source_frame in source_frames] == pytest.approx([0.3, 0.5])


PLAIN = [
    ("a.mp4", "yuv420p", X264),
    ("a.mp4", "yuv422p", X264),
    ("a.mp4", "yuv444p", X264),
    ("a.mp4", "yuv420p10le", X264),
    ("a.mov", "yuv422p10le", ("-c:v", "prores")),
    ("a.mkv", "gray", ("-c:v", "ffv1")),
    ("a.mkv", "bgr0", ("-c:v", "ffv1")),
    ("a.avi", "yuvj422p", ("-c:v", "mjpeg")),
    ("a.mp4", "yuv420p", ("-c:v", "mpeg4")),
]


@pytest.mark.parametrize(("name", "form", "codec"), PLAIN)
def test_pixel_formats_odd_sizes_and_still_pictures(tmp_path, monkeypatch, name, form, codec):
    still = "crop=199:157:0:0" if form in ("yuv444p", "gray", "bgr0") else "null"
    path = make(tmp_path / name, f"{SIZE},{still},format={form}", *codec)
    monkeypatch.setattr(interlaced.shutil, "which", lambda name: None)
    assert len(agrees(path)) == 8


@pytest.mark.parametrize(
    ("name", "filters", "after"),
    [
        ("varying.mp4", f"{SIZE},setpts='(N+gt(N,3)*N)/10/TB'", ("-fps_mode", "vfr")),
        ("gap.mkv", f"{SIZE},setpts='(N+gt(N,3)*30)/10/TB'", ("-fps_mode", "vfr")),
        ("one.mp4", f"{SIZE}", ("-frames:v", "1")),
        ("late.ts", f"{SIZE}", ("-output_ts_offset", "100")),
    ],
)
def test_times_are_those_of_ffmpeg(tmp_path, name, filters, after):
    agrees(make(tmp_path / name, f"{filters},format=yuv420p", *X264, "-bf", "0", after=after))


def test_a_sound_track_and_a_turned_picture(tmp_path):
    sound = ("-f", "lavfi", "-t", "0.8", "-i", "sine")
    made = make(tmp_path / "a.mp4", f"{SIZE},{MOVING},format=yuv420p", *X264, before=sound)
    turned = tmp_path / "turned.mov"
    command = ["ffmpeg", "-loglevel", "quiet", "-i", made, "-c", "copy", "-metadata:s:v", "rotate=90", turned]
    subprocess.run(command, check=True)
    agrees(made)
    assert {source_frame.pixels.shape for source_frame in agrees(turned)} <= {(200, 160, 3), (160, 200, 3)}


def test_reads_that_fail_are_passed_over(tmp_path):
    path = make(tmp_path / "a.ogv", f"{SIZE},format=yuv420p", "-c:v", "libtheora", "-q:v", "7", rate=25, seconds=2)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert not all(capture.grab() for _ in range(20)), "else this shows nothing"
    capture.release()
    assert len(agrees(path)) > 1


def test_a_clip_that_begins_black_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(interlaced.shutil, "which", lambda name: None)
    path = make(tmp_path / "a.avi", f"{SIZE},fade=in:2:4:color=black,format=yuvj420p", "-c:v", "mjpeg")
    source_frames = agrees(path)
    assert not source_frames[0].pixels.any()


def test_the_check_sees_a_frame_that_kept_the_picture_before():
    """Frames 0, 1, 2 convert; from then on nothing does, and the last picture stays."""
    noise = np.random.default_rng(0).integers(0, 255, (4, 40, 50, 3), dtype=np.uint8)

    class Second:
        def __init__(self, picture):
            self.picture = picture

        def retrieve(self):
            return True, self.picture

        def release(self):
            pass

    check = interlaced.ConversionCheck(lambda at: Second(noise[int(at)]))
    for number in range(3):
        check.demand(noise[number].copy(), number)
    with pytest.raises(interlaced.NotConvertedError):
        check.demand(noise[2].copy(), 3)


def test_a_stream_of_both_kinds_is_read_on_deinterlaced(tmp_path, monkeypatch):
    path = make(tmp_path / "a.mp4", f"{SIZE},{MOVING},format=yuv420p", *X264)
    demand, asked = interlaced.ConversionCheck.demand, []

    def fails_later(check, pixels, at):
        asked.append(at)
        if len(asked) > 3:
            raise interlaced.NotConvertedError
        demand(check, pixels, at)

    monkeypatch.setattr(video.ConversionCheck, "demand", fails_later)
    source_frames = list(read_file(path))
    assert [source_frame.index for source_frame in source_frames] == list(range(8))
    assert [source_frame.time for source_frame in source_frames] == pytest.approx(decoded(path), abs=2e-3)
