// The page: a picture or the camera to the API of this server, and what it says onto the page.

import { bars, boxes, csv, percent, shown, table } from "/page/draw.js";

const byId = (id) => document.getElementById(id);
const [picture, video, status, error] = ["picture", "video", "status", "error"].map(byId);
const WAIT = 60000; // milliseconds until an answer is given up
let frame = null; // what is shown
let address = null; // of the picture that is shown
let stream = null; // the camera, its connection and the canvas that its pictures are taken with
let asked = 0; // so that a late answer to an old picture is not shown

const say = (text) => { status.textContent = text; };

function fail(text) {
  error.textContent = text;
  error.hidden = !text;
  if (text) say("");
}

function query() {
  const chosen = new URLSearchParams();
  for (const name of ["model", "detector"]) if (byId(name).value) chosen.set(name, byId(name).value);
  return chosen.size ? `?${chosen}` : "";
}

function headers(more = {}) {
  const key = byId("key").value.trim();
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

async function ask(path, options = {}) {
  let reply;
  try {
    reply = await fetch(path, { ...options, signal: AbortSignal.timeout(WAIT) });
  } catch {
    throw new Error("The server does not answer. See whether it runs, and try again.");
  }
  if (reply.ok) return reply;
  let told = { title: `The server answered ${reply.status}.`, detail: "" };
  if (reply.headers.get("content-type")?.includes("problem")) told = await reply.json();
  if (reply.status === 401) byId("settings").open = true;
  throw new Error(`${told.title} ${told.detail}`);
}

function show(found, { focus = false } = {}) {
  frame = found;
  byId("results").hidden = false;
  boxes(byId("boxes"), found);
  bars(byId("faces"), found);
  table(byId("rows"), found);
  if (focus) byId("results").scrollIntoView({ block: "nearest" });
}

function summary(found) {
  const names = found.faces.map((face) => `${shown(face).expression} ${percent(shown(face).probability)}`);
  const count = names.length === 1 ? "1 face" : `${names.length || "No"} faces`;
  return names.length ? `${count}: ${names.join(", ")}.` : `${count} found.`;
}

async function read(file) {
  stopCamera();
  fail("");
  if (!file) return;
  const number = ++asked;
  say("Reading the picture …");
  try {
    const type = file.type || "application/octet-stream";
    const body = { method: "POST", body: file, headers: headers({ "Content-Type": type }) };
    const found = await (await ask(`/v1/predict${query()}`, body)).json();
    if (number !== asked) return;
    await showPicture(file, body, number);
    if (number !== asked) return;
    show(found, { focus: true });
    say(summary(found) + (found.note ? ` Note: ${found.note}.` : ""));
  } catch (problem) {
    if (number === asked) fail(problem.message);
  }
}

// The file itself; one that the browser cannot show, as TIFF, comes back from the server as PNG, drawn on.
async function showPicture(file, body, number) {
  let url = URL.createObjectURL(file);
  picture.src = url;
  try {
    await picture.decode();
  } catch {
    URL.revokeObjectURL(url);
    const drawn = await ask(`/v1/predict${query()}`, { ...body, headers: { ...body.headers, Accept: "image/png" } });
    url = URL.createObjectURL(await drawn.blob());
    picture.src = url;
  }
  if (number !== asked) return URL.revokeObjectURL(url);
  if (address) URL.revokeObjectURL(address);
  address = url;
  video.hidden = true;
  picture.hidden = false;
}

async function startCamera() {
  fail("");
  const number = ++asked;
  if (!navigator.mediaDevices?.getUserMedia) {
    return fail("The browser gives no camera to this page: it must come over https, or from this very machine.");
  }
  say("Waiting for the camera …");
  let camera;
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, facingMode: "user" } });
  } catch (problem) {
    if (number !== asked) return;
    const why = problem.name === "NotAllowedError" ? "It was not allowed." : "None was found, or it is in use.";
    return fail(`No camera. ${why}`);
  }
  if (number !== asked) return camera.getTracks().forEach((track) => track.stop()); // something else was chosen
  const protocols = ["mien"];
  if (byId("key").value.trim()) protocols.push(`key.${byId("key").value.trim()}`);
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/stream${query()}`, protocols);
  const mine = { camera, socket, canvas: document.createElement("canvas") };
  stream = mine;
  video.srcObject = camera;
  try {
    await video.play();
  } catch {
    if (stream !== mine) return; // stopped before its first picture
    stopCamera();
    return fail("No camera. It gives no picture.");
  }
  if (stream !== mine) return;
  picture.hidden = true;
  video.hidden = false;
  byId("results").hidden = false;
  byId("camera").setAttribute("aria-pressed", "true");
  byId("camera").textContent = "Stop the camera";
  byId("keep").hidden = false;
  say("The camera is on. Its pictures go to this server.");
  if (socket.readyState === WebSocket.OPEN) send(mine); // it may have opened while the camera started
  else socket.onopen = () => send(mine);
  socket.onmessage = ({ data }) => {
    if (stream !== mine) return;
    show(JSON.parse(data));
    requestAnimationFrame(() => send(mine)); // the next when the last is answered
  };
  socket.onclose = () => {
    if (stream !== mine) return;
    stopCamera();
    fail("The connection to the server ended: it is busy, wants an API key, or stopped. Try again.");
  };
}

async function taken(mine) {
  mine.canvas.width = video.videoWidth;
  mine.canvas.height = video.videoHeight;
  mine.canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((done) => { mine.canvas.toBlob(done, "image/jpeg", 0.9); });
}

async function send(mine) {
  if (stream !== mine || !video.videoWidth) return;
  const blob = await taken(mine);
  if (stream === mine && blob && mine.socket.readyState === WebSocket.OPEN) mine.socket.send(blob);
}

function stopCamera() {
  if (!stream) return;
  const { camera, socket } = stream;
  stream = null;
  for (const track of camera.getTracks()) track.stop();
  socket.close();
  video.srcObject = null;
  video.hidden = true;
  byId("boxes").replaceChildren();
  byId("camera").setAttribute("aria-pressed", "false");
  byId("camera").textContent = "Use the camera";
  byId("keep").hidden = true;
  if (picture.hidden) byId("results").hidden = true;
  say("The camera is off.");
}

function download(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function figures(card) {
  for (const output of Object.values(card.outputs)) {
    const measured = output.metrics.test ?? output.metrics.validation;
    if (!measured?.n) continue;
    const [low, high] = measured.interval95;
    return `The model “${card.name}” was right about ${measured.top1} % of ${measured.n.toLocaleString("en")} faces`
      + ` from the web that were kept apart from its training (95 % interval ${low}–${high}); elsewhere expect less.`;
  }
  return "";
}

async function describe() {
  const known = await (await ask("/v1/models", { headers: headers() })).json();
  byId("model").replaceChildren(...known.models.map((one) => new Option(one.name, one.name)));
  byId("detector").replaceChildren(...known.detectors.map((name) =>
    new Option(name === "none" ? "none: the picture is a face" : name, name)));
  const card = known.models[0];
  byId("figures").textContent = figures(card);
  byId("terms").replaceChildren(...[card.intended_use, card.data_terms, `Licence: ${card.licence}`].map((text) => {
    const line = document.createElement("p");
    line.textContent = text;
    return line;
  }));
  if (known.notice) say(`Note: ${known.notice}`);
}

for (const id of ["file", "photo"]) {
  byId(id).addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // the same file may be chosen again
    read(file);
  });
}
byId("camera").addEventListener("click", () => (stream ? stopCamera() : startCamera()));
byId("keep").addEventListener("click", async () => {
  const blob = await taken(stream);
  read(new File([blob], "camera.jpg", { type: "image/jpeg" }));
});
byId("json").addEventListener("click", () => download("mien.json", JSON.stringify(frame, null, 1), "application/json"));
byId("csv").addEventListener("click", () => download("mien.csv", csv(frame), "text/csv"));
byId("key").addEventListener("change", () => describe().then(() => fail(""), (problem) => fail(problem.message)));

document.addEventListener("paste", ({ clipboardData }) => {
  const item = [...(clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/"));
  if (item) read(item);
});
let inside = 0; // dragenter and dragleave come for each child
for (const [type, change] of [["dragenter", 1], ["dragleave", -1]]) {
  document.addEventListener(type, () => {
    inside += change;
    byId("drop").classList.toggle("over", inside > 0);
  });
}
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  inside = 0;
  byId("drop").classList.remove("over");
  const [file] = event.dataTransfer?.files ?? [];
  if (file) read(file);
});

document.documentElement.classList.toggle("touch", navigator.maxTouchPoints > 0);
describe().catch((problem) => fail(problem.message));
