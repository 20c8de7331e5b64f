/** How well a face can be read: the JavaScript side of `mien/detection/quality.py`. */

const FULL_SIZE = 48;
const FULL_SHARPNESS = 0.58;

/** Size, sharpness, yaw, roll and the one number made of them, for a detection and the crop that the model sees. */
export function measure({ box, landmarks }, crop) {
  const size = Math.sqrt(box.width * box.height);
  const sharpness = Math.min(edges(crop) / FULL_SHARPNESS, 1);
  let yaw = null, roll = null, frontal = 1;
  if (landmarks.length === 5) {
    [yaw, roll] = pose(landmarks);
    frontal = 1 - Math.abs(yaw);
  }
  return { size, sharpness, yaw, roll, score: Math.min(size / FULL_SIZE, 1) * sharpness * frontal };
}

function pose([left, right, nose]) {
  const line = [right[0] - left[0], right[1] - left[1]];
  const length = line[0] ** 2 + line[1] ** 2;
  if (!length) return [0, 0];
  const along = ((nose[0] - left[0]) * line[0] + (nose[1] - left[1]) * line[1]) / length;
  const roll = (Math.atan2(line[1], line[0]) * 180) / Math.PI;
  return [Math.min(Math.max(2 * along - 1, -1), 1), roll];
}

/** Standard deviation of the Laplacian against that of the luma: contrast does not count. */
function edges({ width, height, data }) {
  const grey = new Float64Array(width * height);
  for (let index = 0, from = 0; index < grey.length; index++, from += 3) {
    grey[index] = (data[from] * 9798 + data[from + 1] * 19235 + data[from + 2] * 3735 + 16384) >> 15;
  }
  const spread = deviation(grey);
  if (spread <= 1) return 0;
  const mirror = (at, size) => (size === 1 ? 0 : at < 0 ? -at : at >= size ? 2 * size - 2 - at : at);
  const laplacian = new Float64Array(grey.length);
  for (let y = 0; y < height; y++) {
    const above = mirror(y - 1, height) * width, below = mirror(y + 1, height) * width;
    for (let x = 0; x < width; x++) {
      const row = y * width;
      laplacian[row + x] = grey[above + x] + grey[below + x] + grey[row + mirror(x - 1, width)]
        + grey[row + mirror(x + 1, width)] - 4 * grey[row + x];
    }
  }
  return deviation(laplacian) / spread;
}

function deviation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}
