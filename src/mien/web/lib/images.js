/** Anything a browser can show, as pixels. The canvas only decodes: it never scales. */
import { MienError } from "./errors.js";
import { toRgb } from "./pixels.js";

// Pixels of the largest picture that is read; what phones take has up to 50 million.
const MOST = 64e6;
// The last canvas: pictures of a camera are all of one size.
let canvas = null;

/**
 * @param image raw pixels (`{width, height, data}`, as ImageData), a Blob or File, or anything that
 *   `createImageBitmap` takes: an img, video or canvas element, an ImageBitmap, a VideoFrame
 * @returns {Promise<{width: number, height: number, data: Uint8Array}>} RGB; EXIF orientation is applied
 */
export async function read(image) {
  if (ArrayBuffer.isView(image?.data)) return toRgb(image);
  if (typeof createImageBitmap !== "function") {
    throw new MienError("picture", "outside a browser a picture is {width, height, data} with raw RGB or RGBA bytes");
  }
  let bitmap;
  try {
    const asTheyAre = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
    bitmap = image instanceof Blob ? await createImageBitmap(image, asTheyAre) : await createImageBitmap(image);
  } catch (error) {
    throw new MienError("picture", `this browser cannot read the picture: ${error.message}`);
  }
  try {
    const { width, height } = bitmap;
    if (width * height > MOST) {
      throw new MienError("picture", `the picture of ${width}x${height} pixels is too large: at most ${MOST / 1e6} million`);
    }
    if (canvas?.width !== width || canvas.height !== height) canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new MienError("picture", `not enough memory for a picture of ${width}x${height} pixels`);
    context.clearRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    return toRgb(context.getImageData(0, 0, width, height));
  } finally {
    bitmap.close();
  }
}
