/** Boxes into the crops that a model was trained on: the JavaScript side of `mien/detection/framing.py`. */
import { MienError } from "./errors.js";
import { cut, resize, roundEven } from "./pixels.js";

/** The square around a detector's box; it may reach beyond the picture. */
export function square(box, framing) {
  const side = framing.scale * Math.sqrt(box.width * box.height);
  const x = box.x + box.width * (0.5 + framing.dx), y = box.y + box.height * (0.5 + framing.dy);
  return { x: x - side / 2, y: y - side / 2, width: side, height: side };
}

/**
 * The framed square, cut out and resized.
 * @param picture RGB picture, see pixels.js
 * @param box `{x, y, width, height}` in its pixels
 * @param framing `{scale, dx, dy}` of the card
 */
export function crop(picture, box, framing, width, height) {
  const framed = square(box, framing);
  const left = roundEven(framed.x), top = roundEven(framed.y), side = roundEven(framed.width);
  const apart = left >= picture.width || top >= picture.height || left + side <= 0 || top + side <= 0;
  if (side < 1 || apart) {
    throw new MienError("picture", `the face at ${left}, ${top} lies outside the picture of ${picture.width}x${picture.height} pixels`);
  }
  return resize(cut(picture, left, top, side, side), width, height);
}
