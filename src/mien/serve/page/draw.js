// A Frame, as the API gives it, onto the page: boxes over the picture, bars, table, CSV.

const SVG = "http://www.w3.org/2000/svg";

export const percent = (value) => `${(100 * value).toFixed(1)}\u00a0%`;

const make = (name, text = "", attributes = {}) => {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

// What is shown of a face: smoothed over the last moments where there is that.
export function shown(face) {
  const scores = face.smoothed ?? Object.values(face.outputs)[0];
  const expression = face.smoothed_expression ?? face.expression;
  return { scores, expression, probability: Math.max(...Object.values(scores)) };
}

export function boxes(svg, frame) {
  svg.setAttribute("viewBox", `0 0 ${Math.max(frame.width, 1)} ${Math.max(frame.height, 1)}`);
  svg.replaceChildren();
  // A 32nd of the picture, but no fewer than 13 pixels of the screen.
  const letter = Math.max(frame.width / 32, 13 * frame.width / (svg.clientWidth || frame.width));
  frame.faces.forEach((face, index) => {
    const [x, y, width, height] = face.box;
    for (const kind of ["shade", "line"]) {
      const rect = document.createElementNS(SVG, "rect");
      rect.setAttribute("class", kind);
      for (const [key, value] of Object.entries({ x, y, width, height })) rect.setAttribute(key, value);
      svg.append(rect);
    }
    const text = document.createElementNS(SVG, "text");
    text.textContent = `${face.track ?? index + 1} ${shown(face).expression}`;
    text.setAttribute("font-size", letter);
    text.setAttribute("stroke-width", letter / 4);
    text.setAttribute("x", Math.max(x, 0));
    text.setAttribute("y", y > 1.4 * letter ? y - letter / 3 : y + height + letter);
    svg.append(text);
  });
}

export function bars(list, frame) {
  list.replaceChildren(...frame.faces.map((face, index) => {
    const { scores, expression, probability } = shown(face);
    const card = make("article", "", { class: "face" });
    card.append(make("h3", `Face ${face.track ?? index + 1}: ${expression}, ${percent(probability)}`));
    const items = make("ul");
    for (const [label, value] of Object.entries(scores).sort((one, other) => other[1] - one[1])) {
      const item = make("li", "", label === expression ? { class: "top" } : {});
      const track = make("span", "", { class: "track", "aria-hidden": "true" });
      const bar = make("i");
      bar.style.width = `${100 * value}%`;
      track.append(bar);
      item.append(make("span", label), track, make("span", percent(value)));
      items.append(item);
    }
    card.append(items);
    return card;
  }));
  if (!frame.faces.length) list.append(make("p", "No face was found.", { class: "none" }));
}

export function table(body, frame) {
  body.replaceChildren(...frame.faces.map((face, index) => {
    const { expression, probability } = shown(face);
    const [x, y, width, height] = face.box;
    const row = make("tr");
    row.append(make("th", face.track ?? index + 1, { scope: "row" }));
    const cells = [expression, percent(probability), face.confidence === null ? "–" : percent(face.confidence),
      face.quality ? face.quality.score.toFixed(2) : "–", `${x}, ${y}`, `${width} × ${height}`];
    row.append(...cells.map((text) => make("td", text)));
    return row;
  }));
}

// The columns of docs/output.md.
export function csv(frame) {
  const labels = frame.faces.length ? Object.keys(Object.values(frame.faces[0].outputs)[0]) : [];
  const head = ["source", "frame", "time", "face", "track", "x", "y", "width", "height", "confidence", "quality",
    "expression", "probability", "smoothed", "smoothed_probability", "error", "note"];
  const rows = frame.faces.map((face, index) => [
    frame.source, frame.frame, frame.time, index + 1, face.track, ...face.box, face.confidence, face.quality?.score,
    face.expression, face.probability, face.smoothed_expression,
    face.smoothed ? Math.max(...Object.values(face.smoothed)) : null, frame.error, frame.note,
    ...labels.map((label) => Object.values(face.outputs)[0][label]),
  ]);
  if (!rows.length) rows.push([frame.source, frame.frame, frame.time, ...Array(12).fill(null), frame.error, frame.note]);
  const cell = (value) => /[",\n]/.test(value ?? "") ? `"${value.replaceAll('"', '""')}"` : value ?? "";
  return [[...head, ...labels], ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}
