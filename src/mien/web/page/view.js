/** Boxes over the picture, bars beside it, and the words for whoever listens. */

/** Okabe and Ito's colors, which color-blind readers tell apart; labels take them in order. */
const COLORS = ["#D55E00", "#009E73", "#CC79A7", "#E69F00", "#0072B2", "#56B4E9", "#999999", "#F0E442"];
const UNSURE = "#6b757f";

export function colorOf(label, labels) {
  const index = labels.indexOf(label);
  return index < 0 ? UNSURE : COLORS[index % COLORS.length];
}

/** The expression and probability to show: smoothed where there is that. */
export function shown(face) {
  if (!face.smoothed) return [face.expression, face.probability];
  return [face.smoothed_expression, Math.max(...Object.values(face.smoothed))];
}

export const percent = (share) => `${Math.round(share * 100)} %`;

export const nameOf = (face, index) => `Face ${face.track ?? index + 1}`;

/** Draw the boxes of a frame over the picture of the same size. */
export function drawBoxes(canvas, frame, labels, mirrored) {
  if (canvas.width !== frame.width || canvas.height !== frame.height) {
    canvas.width = frame.width;
    canvas.height = frame.height;
  }
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const place = canvas.getBoundingClientRect();
  const unit = Math.max(canvas.width / Math.max(place.width, 1), canvas.height / Math.max(place.height, 1));
  const size = 15 * unit;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  frame.faces.forEach((face, index) => {
    const [left, y, width, height] = face.box;
    const x = mirrored ? frame.width - left - width : left;
    const [expression, probability] = shown(face);
    context.lineWidth = 5 * unit;
    context.strokeStyle = "#000000aa";
    context.strokeRect(x, y, width, height);
    context.lineWidth = 2.5 * unit;
    context.strokeStyle = colorOf(expression, labels);
    context.strokeRect(x, y, width, height);
    const text = `${face.track ?? index + 1} ${expression} ${percent(probability)}`;
    const wide = context.measureText(text).width + size;
    const top = y > size * 1.6 ? y - size * 1.6 : y + height;
    const from = Math.min(Math.max(x, 0), Math.max(canvas.width - wide, 0));
    context.fillStyle = "#000000cc";
    context.fillRect(from, top, wide, size * 1.6);
    context.fillStyle = "#ffffff";
    context.fillText(text, from + size / 2, top + size * 0.8);
  });
}

/** A table of bars per face, made once and then only changed. */
export class Bars {
  #place;
  #tables = [];

  constructor(place) {
    this.#place = place;
  }

  show(faces, labels) {
    while (this.#tables.length > faces.length) this.#tables.pop().table.remove();
    while (this.#tables.length < faces.length) this.#tables.push(this.#make(labels));
    faces.forEach((face, index) => {
      const { caption, cells } = this.#tables[index];
      const [expression, probability] = shown(face);
      setText(caption, `${nameOf(face, index)}: ${expression} ${percent(probability)}`);
      const scores = face.smoothed ?? Object.values(face.outputs)[0];
      labels.forEach((label, at) => {
        const text = percent(scores[label]);
        if (cells[at].textContent === text) return;
        cells[at].textContent = text;
        cells[at].style.setProperty("--share", scores[label]);
      });
    });
  }

  #make(labels) {
    const table = document.createElement("table");
    const caption = table.createCaption();
    const cells = labels.map((label) => {
      const row = table.insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = label;
      row.append(head);
      const cell = row.insertCell();
      cell.style.setProperty("--color", colorOf(label, labels));
      return cell;
    });
    this.#place.append(table);
    return { table, caption, cells };
  }
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Says changes aloud, politely: at most once in so many milliseconds, and only what is new. */
export class Announcer {
  #place;
  #last = 0;

  constructor(place) {
    this.#place = place;
  }

  say(frame, now, least = 2500) {
    if (now - this.#last < least) return;
    const text = frame.faces.length
      ? frame.faces.map((face, index) => `${nameOf(face, index)}: ${shown(face)[0]}`).join(", ")
      : "No face";
    if (text === this.#place.textContent) return;
    this.#last = now;
    this.#place.textContent = text;
  }
}
