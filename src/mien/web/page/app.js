/** The page: buttons to sources, sources to the reader, answers to the screen. */
import { Camera } from "./camera.js";
import { History, save } from "./history.js";
import { keepForOffline } from "./offline.js";
import { Reader } from "./reader.js";
import { Announcer, Bars, colorOf, drawBoxes, setText } from "./view.js";
import { WORDS, cameraProblem, hasSimd, readerProblem } from "./words.js";

const FILES = { model: document.documentElement.dataset.model, detector: document.documentElement.dataset.detector };
// Pixels of the longest side that a camera's or video's whole frames are searched at.
const SEARCHED = 320;

const at = (id) => document.getElementById(id);
const [frameBox, video, photo, boxes] = ["frame", "video", "photo", "boxes"].map(at);
const camera = new Camera(video);
const bars = new Bars(at("faces"));
const announcer = new Announcer(at("said"));
const reader = new Reader(FILES, onStopped);

let labels = [];
let history = null;
let shows = "nothing"; // "camera", "video", "photo"
let session = 0; // grows with each new source; what belongs to an older one is dropped
let opened = 0; // performance.now() when the camera was opened
let drawn = 0;
let resume = null; // what to go on with when the page is seen again

start();

async function start() {
  if (!hasSimd()) return fail(WORDS.noSimd);
  listen();
  const progress = at("progress");
  const kept = await keepForOffline((done, total) => {
    progress.hidden = false;
    [progress.max, progress.value] = [total, done];
    say(`Loading ${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB, only this once …`);
  });
  progress.hidden = true;
  if (kept === "failed") problem(WORDS.notKept);
  if (await openReader()) say(kept === "kept" ? "Ready, also without a network." : "Ready.");
}

/** Start the worker; false, and the reason on the page, where that fails. */
async function openReader() {
  say("Starting …");
  try {
    const model = await reader.open();
    labels = model.labels;
    setText(at("model"), `Model: ${model.name}, version ${model.version}.`);
  } catch (error) {
    fail(readerProblem(error));
    return false;
  }
  history ??= new History(labels);
  at("legend").replaceChildren(...labels.map(legendEntry));
  for (const id of ["camera", "photo-file", "video-file"]) at(id).disabled = false;
  return true;
}

function listen() {
  at("camera").addEventListener("click", () => (shows === "camera" ? closeSource("Camera closed.") : openCamera()));
  at("flip").addEventListener("click", () => {
    camera.turn();
    openCamera({ keep: true });
  });
  at("photo-file").addEventListener("change", (event) => takeFiles(event.target, readPhotos));
  at("video-file").addEventListener("change", (event) => takeFiles(event.target, ([file]) => openVideo(file)));
  at("csv").addEventListener("click", () => save(history.toCsv(), "mien.csv", "text/csv"));
  at("json").addEventListener("click", () => save(history.toJson(), "mien.json", "application/json"));
  at("clear").addEventListener("click", clear);
  document.addEventListener("visibilitychange", onVisibility);
  document.querySelector('a[href="#about"]').addEventListener("click", () => (at("about").open = true));
}

function takeFiles(input, act) {
  const files = [...input.files];
  input.value = ""; // so that the same file can be chosen again
  if (files.length) act(files);
}

async function openCamera({ keep = false } = {}) {
  problem(null);
  if (!globalThis.isSecureContext) return problem(WORDS.insecure);
  if (!navigator.mediaDevices?.getUserMedia) return problem(WORDS.noCameraApi);
  closeSource("Opening the camera …");
  const mine = ++session;
  try {
    if (!(await camera.open()) || mine !== session) return;
  } catch (error) {
    if (mine !== session) return;
    camera.close();
    say("");
    return problem(cameraProblem(error));
  }
  if (!keep) {
    history.begin();
    opened = performance.now();
  }
  at("flip").hidden = !(await camera.hasSeveral());
  camera.onEnded(() => mine === session && (closeSource(""), problem(WORDS.noCamera)));
  show("camera");
  await follow(mine, "camera:0", () => (performance.now() - opened) / 1000, keep);
}

async function openVideo(file) {
  problem(null);
  closeSource("Opening the video …");
  const mine = ++session;
  history.begin();
  video.src = URL.createObjectURL(file);
  video.controls = true;
  try {
    await video.play();
  } catch (error) {
    if (mine !== session) return;
    closeSource("");
    return problem(`This browser cannot play ${file.name}: ${error.message}`);
  }
  show("video");
  video.onended = () => mine === session && say(`${file.name}: finished.`);
  await follow(mine, file.name, () => video.currentTime);
}

/**
 * Read frame after frame of the video element, the newest when the last one is done.
 * `goesOn`: the same stream as before, so that track ids and frame numbers go on.
 */
async function follow(mine, source, clock, goesOn = false) {
  try {
    if (!goesOn) await reader.call("stream", { source, longest: SEARCHED });
    let last = -1;
    while (mine === session) {
      await nextPicture();
      const time = clock();
      if (mine !== session || document.hidden || time === last) continue;
      if (time < last) await reader.call("stream", { source, longest: SEARCHED }); // the video was wound back
      last = time;
      const image = await createImageBitmap(video);
      const frame = await reader.call("frame", { image, time }, [image]);
      if (mine === session) present(frame);
    }
  } catch (error) {
    if (mine !== session || error.code === "stopped") return;
    closeSource("");
    problem(readerProblem(error));
  }
}

/** Resolves when the video shows a new picture; after half a second in any case. */
function nextPicture() {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 500);
    const done = () => (clearTimeout(timer), resolve());
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(done);
    else requestAnimationFrame(done);
  });
}

async function readPhotos(files) {
  problem(null);
  closeSource("");
  const mine = ++session;
  for (const file of files) {
    say(`Reading ${file.name} …`);
    URL.revokeObjectURL(photo.src);
    photo.src = URL.createObjectURL(file);
    photo.alt = file.name;
    show("photo");
    let frame;
    try {
      frame = await reader.call("photo", { image: file, source: file.name });
    } catch (error) {
      if (error.code !== "stopped") problem(`${file.name}: ${readerProblem(error)}`);
      if (mine === session) say("");
      continue;
    }
    if (mine !== session) return;
    present(frame, { once: true });
    const count = frame.faces.length;
    say(`${file.name}: ${count === 0 ? "no face found" : count === 1 ? "1 face" : `${count} faces`}.`);
  }
}

/** Put an answer on the screen and into the history. */
function present(frame, { once = false } = {}) {
  history.add(frame);
  const now = performance.now();
  drawBoxes(boxes, frame, labels, shows === "camera" && camera.isMirrored);
  announcer.say(frame, now, once ? 0 : undefined);
  if (!once && now - drawn < 200) return;
  drawn = now;
  bars.show(frame.faces, labels);
  showHistory();
  if (!once) say(shows === "camera" ? "Reading the camera." : "Reading the video.");
}

function showHistory() {
  at("export").hidden = history.size === 0;
  const count = `${history.size} ${history.size === 1 ? "picture" : "pictures"} read`;
  setText(at("kept"), history.isFull ? `${count}; no more are kept: save and clear` : count);
  at("history").hidden = history.end === 0;
  if (history.end === 0) return;
  setText(at("history-title"), `Since the ${shows === "video" ? "video" : "camera"} was opened: ${history.end.toFixed(0)} s`);
  history.draw(at("timeline"));
  setText(at("shares"), history.shares().join(" "));
}

function clear() {
  history = new History(labels);
  opened = performance.now();
  showHistory();
  say("Cleared.");
}

/** Show the video element, the photo or nothing. */
function show(what) {
  shows = what;
  frameBox.dataset.shows = what;
  frameBox.toggleAttribute("data-mirrored", what === "camera" && camera.isMirrored);
  video.hidden = what !== "camera" && what !== "video";
  photo.hidden = what !== "photo";
  at("empty").hidden = what !== "nothing";
  boxes.getContext("2d").clearRect(0, 0, boxes.width, boxes.height);
  at("camera").setAttribute("aria-pressed", String(what === "camera"));
  setText(at("camera"), what === "camera" ? "Stop" : "Camera");
  if (what === "photo" || what === "nothing") at("flip").hidden = true;
}

function closeSource(text) {
  session++;
  camera.close();
  if (video.src) URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
  video.controls = false;
  video.onended = null;
  bars.show([], labels);
  show("nothing");
  say(text);
}

/** Nothing runs while nobody looks: the camera is closed, a video paused, and both go on when the page is seen. */
function onVisibility() {
  if (document.hidden) {
    if (shows === "camera") resume = () => openCamera({ keep: true });
    else if (shows === "video" && !video.paused) resume = () => video.play().catch(() => {}); // it has controls of its own
    else resume = null;
    if (shows === "camera") closeSource(WORDS.hidden);
    else video.pause();
  } else {
    resume?.();
    resume = null;
  }
}

/** The worker died: say so, and start a new one. */
async function onStopped() {
  closeSource("");
  if (!(await openReader())) return;
  problem(WORDS.stopped);
  say("Ready.");
}

function legendEntry(label) {
  const entry = document.createElement("span");
  const patch = document.createElement("i");
  patch.style.background = colorOf(label, labels);
  entry.append(patch, label);
  return entry;
}

function say(text) {
  setText(at("status"), text);
}

function problem(text) {
  at("problem").hidden = !text;
  at("problem").textContent = text ?? "";
}

/** Nothing works: say why, and leave it at that. */
function fail(text) {
  say("");
  problem(text);
  for (const id of ["camera", "photo-file", "video-file"]) at(id).disabled = true;
}
