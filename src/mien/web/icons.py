"""The app's icons as PNG, drawn to the numbers of ``page/icon.svg``."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

_GROUND, _INK = "#0058a3", "#ffffff"
# Drawn so many times larger and reduced, for smooth edges.
_FINE = 4


def png(size: int, *, corner: float = 0.0, scale: float = 1.0) -> bytes:
    """A square icon.

    Args:
        size: pixels a side.
        corner: radius of the corners as a share of the side; outside them it is transparent.
        scale: size of the drawing; a maskable icon keeps within the inner four fifths, so 0.8.
    """
    side = size * _FINE
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, side - 1, side - 1), corner * side, fill=_GROUND)

    def box(x: float, y: float, radius: float) -> tuple[float, ...]:
        middle = [(0.5 + (value / 100 - 0.5) * scale) * side for value in (x, y)]
        reach = radius / 100 * scale * side
        return (middle[0] - reach, middle[1] - reach, middle[0] + reach, middle[1] + reach)

    width = round(0.06 * scale * side)
    draw.ellipse(box(50, 50, 33), outline=_INK, width=width)
    for x in (39, 61):
        draw.ellipse(box(x, 43, 4.5), fill=_INK)
    draw.arc(box(50, 50, 19), 35, 145, fill=_INK, width=width)
    buffer = io.BytesIO()
    image.resize((size, size), Image.Resampling.LANCZOS).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def all_icons() -> dict[str, bytes]:
    """Every icon that the page and its manifest name, by file name."""
    return {
        "icon-192.png": png(192, corner=0.22),
        "icon-512.png": png(512, corner=0.22),
        "maskable-512.png": png(512, scale=0.8),
        "apple-touch-icon.png": png(180),
    }
