import itertools
import math
import threading
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mien import ordered
from mien import recognizer as recognition
from mien.detection.base import Detection
from mien.errors import DetectorError, MienError, ModelError, PictureError, SourceError
from mien.recognizer import Recognizer
from mien.results import UNSURE, Box
from mien.sources.source_frame import SourceFrame, Unread
from mien.sources.sources import ReadOptions
from mien.tracking.options import TrackingOptions
from support.bright_patches import SIDE, Patches, draw, eyes_of
from support.numbered_frames import write_video
from support.stub_model import StubModel


@pytest.fixture
def recognizer():
    return made()


def made(**options):
    one = Recognizer(StubModel(), "haar", **options)
    one.detector = Patches()
    return one


def clip(source, count, people=(1,), *, live=False, left=10):
    """Source frames of people who stand apart and move to the right."""
    for index in range(count):
        places = {seed: (left + 100 * place + 2 * index, 30) for place, seed in enumerate(people)}
        yield SourceFrame(source, draw(places), None, index, index / 10, live)


def still(source, *people):
    return SourceFrame(source, draw({seed: (10 + 100 * place, 30) for place, seed in enumerate(people)}))


def frames_of(recognizer, source_frames, **following):
    return [frame for _, frame in recognizer.read(source_frames, TrackingOptions(**following))]


def numbers(frames):
    return [[face.track for face in frame.faces] for frame in frames]


# ----------------------------------------------------------------------------------- pictures


def test_faces_of_several_pictures_are_scored_together_and_stay_in_order(recognizer):
    source_frames = [still(f"{number}.png", *range(number, number + number % 3)) for number in range(20)]
    found = list(recognizer.read(source_frames))
    assert [source_frame for source_frame, _ in found] == source_frames
    assert [frame.source for _, frame in found] == [f"{number}.png" for number in range(20)]
    assert [len(frame.faces) for _, frame in found] == [number % 3 for number in range(20)]
    assert recognizer.model.batches == [7, 8, 4]
    alone = made()
    for source_frame, frame in found:
        assert frame.faces == alone.predict(source_frame.pixels, "rgb").faces
        assert all(face.track is None and face.smoothed is None for face in frame.faces)


def test_pictures_without_faces_are_not_scored(recognizer):
    frames = frames_of(recognizer, [still("a.png")] * 11)
    assert [frame.faces for frame in frames] == [()] * 11
    assert {(frame.width, frame.height) for frame in frames} == {(320, 120)}
    assert recognizer.model.batches == []


def test_nothing_gives_nothing(recognizer):
    assert list(recognizer.read([])) == []
    assert list(recognizer.stream([])) == []


def test_no_more_pictures_wait_than_are_scored_together(recognizer):
    taken = []

    def endless():
        while True:
            taken.append(still("a.png", 1))
            yield taken[-1]

    found = recognizer.read(endless())
    for given in range(1, 30):
        next(found)
        assert len(taken) - given < 8
    found.close()


def test_large_pictures_do_not_wait_for_others(recognizer, monkeypatch):
    monkeypatch.setattr(recognition, "_TOGETHER_PIXELS", 320 * 120 * 3 - 1)
    frames_of(recognizer, [still("a.png", 1)] * 10)
    assert recognizer.model.batches == [3, 3, 3, 1]
    recognizer.model.batches.clear()
    monkeypatch.setattr(recognition, "_TOGETHER_PIXELS", 320 * 120 - 1)
    frames_of(recognizer, clip("a.mp4", 4))
    assert recognizer.model.batches == [1, 1, 1, 1]


def test_a_new_clip_begins_a_new_batch(recognizer, monkeypatch):
    monkeypatch.setattr(recognition, "_TOGETHER_PIXELS", 320 * 120 * 3)
    list(recognizer.read([*clip("a", 3), *clip("b", 3)]))
    assert recognizer.model.batches == [3, 3]


def test_what_could_not_be_read_is_a_frame_with_its_error(recognizer):
    lost = SourceFrame("b.png", None, PictureError("b.png: not a picture"))
    frames = frames_of(recognizer, [still("a.png", 1), lost, still("c.png", 2)])
    assert [frame.error for frame in frames] == [None, "b.png: not a picture", None]
    assert (frames[1].source, frames[1].width, frames[1].height, frames[1].faces) == ("b.png", 0, 0, ())
    assert [len(frame.faces) for frame in frames] == [1, 0, 1]
    assert frames[2].faces != frames[0].faces


def test_faults_of_the_caller_are_raised(recognizer):
    with pytest.raises(PictureError, match="a source is a path"):
        list(recognizer.stream([np.zeros((9, 9), np.uint8), 5]))


# ------------------------------------------------------------------------------------- videos


def test_people_keep_their_numbers_through_a_clip(recognizer):
    frames = frames_of(recognizer, clip("a.mp4", 20, (1, 2)))
    assert numbers(frames) == [[1, 2]] * 20
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.time for frame in frames] == [number / 10 for number in range(20)]
    assert [frame.faces[0].box.x for frame in frames] == [10 + 2 * number for number in range(20)]
    assert all(face.quality.size == SIDE for frame in frames for face in frame.faces)
    assert recognizer.model.batches == [16, 16, 8]


def test_every_clip_begins_with_number_one(recognizer):
    first, second = clip("a.mp4", 10, (1, 2)), clip("b.mp4", 10, (2, 3))
    assert numbers(frames_of(recognizer, itertools.chain(first, second))) == [[1, 2]] * 20
    again = itertools.chain(clip("a.mp4", 3, (1, 2)), clip("a.mp4", 3, (2,), left=110))
    assert numbers(frames_of(recognizer, again)) == [[1, 2]] * 3 + [[1]] * 3, "of the same name, but anew"


def test_a_clip_ends_with_a_picture_in_between(recognizer):
    source_frames = [*clip("a.mp4", 3, (1, 2)), still("b.png", 1), *clip("c.mp4", 3, (2,)), still("d.png", 3)]
    frames = frames_of(recognizer, source_frames)
    assert numbers(frames) == [[1, 2]] * 3 + [[None]] + [[1]] * 3 + [[None]]
    assert [[face.smoothed is None for face in frame.faces] for frame in frames[2:5]] == [[False] * 2, [True], [False]]
    alone = made().predict(source_frames[3].pixels, "rgb")
    assert frames[3].faces == alone.faces


def test_a_damaged_frame_does_not_end_a_clip(recognizer):
    source_frames = list(clip("a.mp4", 9, (1, 2)))
    source_frames[4] = SourceFrame("a.mp4", None, SourceError("a.mp4: frame 4 is damaged"), 4, 0.4)
    frames = frames_of(recognizer, source_frames)
    assert numbers(frames) == [[1, 2]] * 4 + [[]] + [[1, 2]] * 4
    assert frames[4].error == "a.mp4: frame 4 is damaged"
    assert (frames[4].index, frames[4].time) == (4, 0.4)


def test_probabilities_are_steadied_within_a_clip_and_not_across(recognizer):
    def flickering(source):
        for index in range(12):
            at = draw({1 + index % 2: (100, 30)})
            yield SourceFrame(source, at, None, index, index / 10)

    frames = frames_of(recognizer, [*flickering("a.mp4"), *flickering("b.mp4")], smooth=0.4)
    clips = frames[:12], frames[12:]
    for one in clips:
        held = None
        keep = math.exp(-0.1 / 0.4)
        for frame in one:
            (face,) = frame.faces
            now = dict(face.probabilities)
            held = now if held is None else {label: keep * held[label] + (1 - keep) * now[label] for label in now}
            assert dict(face.smoothed) == pytest.approx(held)
    first, second = (one[0].faces[0] for one in clips)
    assert dict(first.smoothed) == dict(second.smoothed) == dict(first.probabilities)
    swing = [abs(a.faces[0].probability - b.faces[0].probability) for a, b in itertools.pairwise(frames[:12])]
    calm = [
        max(a.faces[0].smoothed.values()) - max(b.faces[0].smoothed.values())
        for a, b in itertools.pairwise(frames[:12])
    ]
    assert max(map(abs, calm)) < max(swing)


def test_following_can_be_left_out():
    plain = made()
    frames = frames_of(plain, clip("a.mp4", 10, (1, 2)), track=False)
    assert numbers(frames) == [[None, None]] * 10
    assert all(face.smoothed is None for frame in frames for face in frame.faces)
    assert plain.detector.searched == [(320, 120)] * 10
    rough = frames_of(made(), clip("a.mp4", 10, (1, 2)), smooth=0)
    assert numbers(rough) == [[1, 2]] * 10
    assert all(face.smoothed is None for frame in rough for face in frame.faces)


def test_between_whole_frames_only_surroundings_are_searched(recognizer):
    frames = frames_of(recognizer, clip("a.mp4", 12), interval=4)
    whole = [number for number, size in enumerate(recognizer.detector.searched) if size == (320, 120)]
    assert whole == [0, 4, 8]
    assert len(recognizer.detector.searched) == 12
    searched = made()
    assert frames == frames_of(searched, clip("a.mp4", 12), interval=1)
    assert searched.detector.searched == [(320, 120)] * 12


def test_a_live_source_is_answered_picture_by_picture(recognizer):
    taken = []

    def camera():
        for source_frame in clip("camera:0", 20, (1, 2), live=True):
            taken.append(source_frame.index)
            yield source_frame

    found = recognizer.read(camera())
    for index in range(20):
        assert next(found)[1].index == index
        assert taken[-1] == index, "an answer must not wait for the next picture"
    assert next(found, None) is None
    assert recognizer.model.batches == [2] * 20


def test_a_source_that_is_lost_keeps_what_was_live(recognizer):
    def camera():
        yield from clip("camera:0", 2, live=True)
        yield SourceFrame("camera:0", None, SourceError("camera:0: gives no more pictures"))

    frames = frames_of(recognizer, camera())
    assert numbers(frames) == [[1], [1], []]
    assert frames[2].error == "camera:0: gives no more pictures"


def test_a_video_is_streamed_from_its_file(recognizer, tmp_path):
    path = write_video(tmp_path / "clip.mp4", 20, picture=lambda number: draw({1: (20 + number, 40)}, 160, 128))
    frames = list(recognizer.stream(path))
    assert numbers(frames) == [[1]] * 20
    assert {frame.source for frame in frames} == {str(path)}
    part = list(
        recognizer.stream([str(path)], reading=ReadOptions(start=1.0, every=3), following=TrackingOptions(smooth=0))
    )
    assert [frame.index for frame in part] == [10, 13, 16, 19]
    assert [frame.time for frame in part] == pytest.approx([1.0, 1.3, 1.6, 1.9])
    assert all(face.smoothed is None for frame in part for face in frame.faces)


# -------------------------------------------------------------------------------------- faces


def test_small_faces_are_left_out():
    many = draw({1: (10, 30), 2: (110, 30)})
    many[40:60, 250:270] = 200
    many[40:44, 200:220] = 200
    found = {least: made(min_size=least).predict(many, "rgb").faces for least in (0, 10, 20, 21, 40, 41)}
    assert {least: len(faces) for least, faces in found.items()} == {0: 4, 10: 3, 20: 3, 21: 2, 40: 2, 41: 0}
    frames = frames_of(made(min_size=30), [SourceFrame("a.mp4", many, None, index, index / 10) for index in range(3)])
    assert [[face.box.x for face in frame.faces] for frame in frames] == [[10, 110]] * 3


class Given:
    """A detector that finds one face at a given place."""

    name, notice = "haar", None

    def __init__(self, detection):
        self.detection = detection

    def detect(self, picture, *, longest=800):
        return [self.detection]


class Sizes(Patches):
    """Keeps the size at which each picture is searched."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def detect(self, picture, *, longest=None):
        self.sizes.append(longest)
        return super().detect(picture)


@pytest.mark.parametrize(
    ("search", "picture", "frame"), [("auto", None, 800), ("full", None, None), ("quick", 800, 800)]
)
@pytest.mark.parametrize("track", [True, False])
def test_pictures_are_searched_in_full_and_videos_quickly(search, picture, frame, track):
    recognizer = made(search=search)
    recognizer.detector = Sizes()
    frames_of(recognizer, [still("a.jpg", 1)])
    recognizer.predict(draw({1: (10, 30)}), color="rgb")
    assert recognizer.detector.sizes == [picture, picture]
    recognizer.detector = Sizes()
    frames_of(recognizer, clip("c.mp4", 1), track=track)
    assert recognizer.detector.sizes == [frame]


def test_an_unknown_search_is_answered_with_the_known_ones():
    with pytest.raises(DetectorError, match="'thorough', only auto, full, quick"):
        made(search="thorough")


@pytest.mark.parametrize("degrees", [-40, -12, 25, 90])
def test_a_tilted_face_is_turned_upright(degrees):
    coarse = np.random.default_rng(5).integers(40, 255, (6, 6, 3), dtype=np.uint8)
    upright = np.zeros((240, 240, 3), np.uint8)
    upright[60:180, 60:180] = cv2.resize(coarse, (120, 120), interpolation=cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D((120, 120), -degrees, 1.0)
    tilted = cv2.warpAffine(upright, turn, (240, 240), flags=cv2.INTER_LINEAR)
    eyes = eyes_of(80, 80, 80, 80)
    turned = tuple(map(tuple, (np.c_[eyes, np.ones(5)] @ turn.T).tolist()))
    seen = {}
    for align in (False, True):
        for name, pixels, points in (("upright", upright, eyes), ("tilted", tilted, turned)):
            one = made(align=align)
            one.detector = Given(Detection(Box(80, 80, 80, 80), 0.9, points))
            score = one.model.score
            one.model.score = lambda crops, key=(name, align), score=score: seen.update({key: crops[0]}) or score(crops)
            (face,) = one.predict(pixels, "rgb").faces
            assert face.quality.roll == pytest.approx(degrees if name == "tilted" else 0)
    expected = seen["upright", False].astype(int)

    def apart(key):
        return np.abs(seen[key] - expected).mean()

    assert apart(("upright", True)) < 2
    assert apart(("tilted", True)) < 4
    assert apart(("tilted", False)) > 15


def test_without_eyes_nothing_is_turned():
    pixels = draw({1: (100, 30)})
    one, other = made(align=True), made()
    one.detector = other.detector = Given(Detection(Box(100, 30, 40, 40)))
    assert one.predict(pixels, "rgb") == other.predict(pixels, "rgb")


def test_unsure_is_said_at_the_error_rate_that_was_asked_for():
    model = StubModel()
    asked = []

    def threshold(rate):
        asked.append(rate)
        if rate < 0.01:
            raise ModelError("does not say how sure it must be")
        return 0.999

    model.card.threshold = threshold
    source_frames = list(clip("a.mp4", 4))
    sure = frames_of(Recognizer(model, "none"), source_frames)
    unsure = frames_of(Recognizer(model, "none", error_rate=0.05), source_frames)
    assert asked == [0.05]
    assert [face.expression for frame in unsure for face in frame.faces] == [UNSURE] * 4
    assert [face.smoothed_expression for frame in unsure for face in frame.faces] == [UNSURE] * 4
    for one, other in zip(sure, unsure, strict=True):
        assert one.faces[0].expression != UNSURE
        assert one.faces[0].probabilities == other.faces[0].probabilities
    with pytest.raises(ModelError, match="how sure"):
        Recognizer(model, "none", error_rate=0.001)


def test_the_card_says_what_the_crops_are(monkeypatch):
    model = StubModel()
    model.card.framing["haar"] = {"scale": 2.0, "dx": 0.0, "dy": 0.0}
    wide = Recognizer(model, "haar")
    wide.detector = Patches()
    kept = SimpleNamespace()
    monkeypatch.setattr(model, "score", lambda crops: setattr(kept, "crops", crops) or StubModel().score(crops))
    wide.predict(draw({1: (100, 30)}), "rgb")
    assert kept.crops.shape == (1, 48, 48, 3)
    assert not kept.crops[0, :10].any(), "twice the face is mostly black"
    assert kept.crops[0, 16:32, 16:32].min() > 30


def test_colour_arrays_without_their_order_raise_at_once():
    frame = np.zeros((48, 48, 3), np.uint8)
    reader = Recognizer(detector="none")
    for source in ((frame for _ in range(2)), np.stack([frame, frame]), [frame]):
        with pytest.raises(PictureError, match=r"channel order|shape"):
            next(iter(reader.stream(source)))


@pytest.mark.parametrize("word", ["https://example.org/a.jpg", "faces.zip", "clip.mp4", "camera:0"])
def test_predict_names_the_call_that_takes_more_than_a_picture(word):
    with pytest.raises(PictureError, match=r"is read by stream"):
        Recognizer(detector="none").predict(word)


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": -1}, {"min_size": -5}, {"min_size": float("nan")}])
def test_impossible_options_are_refused(options):
    with pytest.raises(MienError, match=next(iter(options))):
        Recognizer(detector="none", **options)


# ----------------------------------------------------------------------------------- on all cores


def test_pictures_searched_beside_each_other_come_in_order_and_few_wait(recognizer, monkeypatch):
    monkeypatch.setattr(ordered, "cores", lambda: 2)
    taken = []

    class Slow(Patches):
        def detect(self, picture, *, longest=None):
            time.sleep(0.02 if len(taken) % 3 == 0 else 0.0)
            return super().detect(picture, longest=longest)

    def unread():
        for number in range(30):
            taken.append(number)
            yield Unread(f"{number}.png", still("", *range(number, number + number % 3)).pixels, "rgb")

    recognizer.detector = Slow()
    for place, (source_frame, frame) in enumerate(recognizer.read(unread(), ahead=True, pixels=False)):
        assert frame.source == f"{place}.png"
        assert len(frame.faces) == place % 3
        assert (frame.width, source_frame.pixels) == (320, None)
        assert len(taken) <= place + 8 + 2 * 2 + 2
    assert not any(thread.name.startswith("mien") for thread in threading.enumerate())


def test_a_video_read_ahead_gives_the_same_frames(monkeypatch):
    monkeypatch.setattr(ordered, "cores", lambda: 2)
    both = [
        [frame for _, frame in made().read([*clip("a", 20, (1, 2)), still("b.png", 3), *clip("c", 9)], ahead=ahead)]
        for ahead in (False, True)
    ]
    assert both[0] == both[1]


def test_of_a_live_source_no_frame_is_taken_before_the_last_one_is_done(recognizer, monkeypatch):
    monkeypatch.setattr(ordered, "cores", lambda: 2)
    taken = []
    source_frames = (
        taken.append(source_frame.index) or source_frame for source_frame in clip("camera:0", 6, live=True)
    )
    for place, _ in enumerate(recognizer.read(source_frames, ahead=True)):
        assert taken[-1] == place


def test_a_fault_while_pictures_are_searched_is_raised_and_ends_the_threads(recognizer, monkeypatch):
    monkeypatch.setattr(ordered, "cores", lambda: 2)

    class Broken(Patches):
        def detect(self, picture, *, longest=None):
            raise DetectorError("broken")

    recognizer.detector = Broken()
    source_frames = [Unread(None, still("").pixels, "rgb")] * 5
    with pytest.raises(DetectorError, match="broken"):
        list(recognizer.read(source_frames, ahead=True))
    assert not any(thread.name.startswith("mien") for thread in threading.enumerate())
