/** The camera: opened, turned around, closed; never open while the page is hidden. */

export class Camera {
  #video;
  #stream = null;
  #attempt = 0;
  facing = "user";

  constructor(video) {
    this.#video = video;
  }

  get isOpen() {
    return this.#stream !== null;
  }

  /** Whether the picture is shown as in a mirror. */
  get isMirrored() {
    return this.facing === "user";
  }

  /** Open it; resolves when pictures come, to false where it was closed meanwhile. Throws as `getUserMedia` does. */
  async open() {
    this.close();
    const attempt = this.#attempt;
    const video = { facingMode: this.facing, width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    if (attempt !== this.#attempt) {
      for (const track of stream.getTracks()) track.stop();
      return false;
    }
    this.#stream = stream;
    this.#video.srcObject = stream;
    await this.#video.play();
    return attempt === this.#attempt;
  }

  close() {
    this.#attempt++;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }

  /** Called with what happened when the camera ends by itself, as when it is unplugged. */
  onEnded(act) {
    for (const track of this.#stream?.getVideoTracks() ?? []) track.onended = act;
  }

  /** Whether there are several cameras; browsers tell after the first was allowed. */
  async hasSeveral() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "videoinput").length > 1;
  }

  turn() {
    this.facing = this.facing === "user" ? "environment" : "user";
  }
}
