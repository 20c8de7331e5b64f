"""Pictures that show a number in black and white squares above stripes of colour, and videos made of them.

What is read back says which frame it is and whether its colours are right, also after lossy compression.
"""

import cv2
import numpy as np

WIDTH, HEIGHT = 160, 128
STRIPES = ((220, 30, 30), (30, 200, 30), (40, 40, 210))
_BITS = 10


def draw(number):
    """The frame of a number, RGB uint8 (128, 160, 3)."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for row, colour in enumerate(STRIPES):
        picture[32 + row * 32 : 64 + row * 32] = colour
    for bit in range(_BITS):
        picture[:32, bit * 16 : bit * 16 + 16] = 255 * (number >> bit & 1)
    return picture


def number_of(picture):
    """The number that a frame shows, whatever its size."""
    height, width = picture.shape[:2]
    row = picture[height // 8, [width * (2 * bit + 1) // (2 * _BITS) for bit in range(_BITS)]].mean(axis=1)
    return sum(int(value > 128) << bit for bit, value in enumerate(row))


def colours_are_right(picture):
    """Whether the stripes are red, green and blue, about as they were drawn."""
    height, width = picture.shape[:2]
    seen = picture[[height * (3 + 2 * row) // 8 for row in range(3)], width // 2].astype(int)
    return np.abs(seen - STRIPES).max() < 25


def write_video(path, count=20, *, rate=10, code="mp4v", size=(WIDTH, HEIGHT), picture=draw):
    """Write a video whose frames show 0, 1, 2, ..., by OpenCV; returns its path."""
    writer = cv2.VideoWriter(str(path.absolute()), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), rate, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(cv2.cvtColor(cv2.resize(picture(number), size), cv2.COLOR_RGB2BGR))
    writer.release()
    return path
