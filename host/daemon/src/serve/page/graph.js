// The graph of a pipeline: a box a source, stage and sink, in columns from left to right, or in rows where the page is
// narrow; on each edge the rows a second that its reader takes, and how many wait.

import { brief, count, cut, rate, s, short, took } from "./dom.js";

const BOX = { width: 178, line: 16, pad: 11 };
const GAP = { along: 74, across: 20, rows: 46 };
const MARGIN = 6;
const CHARACTERS = 23;
const SWEEPS = 4;

// Draws the nodes of a pipeline at most `width` wide where that can be; `pick` is called with the name of a stage.
export function graph(nodes, width, picked, pick) {
  const boxes = nodes.filter((node) => node.part !== "dead letters").map((node) => ({ node, lines: lines(node) }));
  const letters = nodes.find((node) => node.part === "dead letters");
  boxes.forEach((box) => { box.height = 2 * BOX.pad + BOX.line * (box.lines.length + 1) - 3; });
  const edges = boxes.flatMap((to) => inputs(to, boxes));
  const layers = rank(boxes, edges);
  const down = layers.length * (BOX.width + GAP.along) > width;
  place(boxes, edges, layers, down);
  if (letters) {
    const box = { node: letters, lines: [`${rate(letters.rows_in_per_s)}`, `${count(letters.rows_out)} rows`], layer: 0 };
    box.height = 2 * BOX.pad + BOX.line * 3 - 3;
    box.x = Math.min(...boxes.map((other) => other.x));
    box.y = Math.max(...boxes.map((other) => other.y + other.height)) + GAP.across + 6;
    boxes.push(box);
  }
  const right = Math.max(0, ...boxes.map((box) => box.x + BOX.width)) + MARGIN;
  const bottom = Math.max(0, ...boxes.map((box) => box.y + box.height)) + MARGIN;
  return s("svg", { class: "graph", viewBox: `0 0 ${right} ${bottom}`, width: right, height: bottom, role: "group",
    "aria-label": "Graph of the pipeline" },
  edges.map((edge) => drawn(edge, down)),
  boxes.map((box) => boxed(box, picked, pick)));
}

// What a box says below its name.
function lines(node) {
  const said = [node.part === "source" ? `${rate(node.rows_out_per_s)}` : `${rate(node.rows_in_per_s)}`];
  if (node.part === "stage") {
    const live = node.versions?.find((version) => version.live);
    if (live) said.push(`v${live.version} ${short(live.digest)}${live.watched ? " watched" : ""}`);
    if (node.batches > 0) said.push(`${brief(node.batch_rows)} rows in ${took(node.batch_us)}`);
  } else {
    said.push(`${count(node.part === "source" ? node.rows_in : node.rows_out)} rows`);
  }
  const wrong = [[node.dead_letters, "dead"], [node.failures, "failed"]].filter(([number]) => number > 0);
  if (wrong.length > 0) said.push({ wrong: wrong.map(([number, word]) => `${brief(number)} ${word}`).join(", ") });
  return said;
}

// The edges that lead to a box. `stage.port` names a port; a box of one edge tells that edge's rate by its own.
function inputs(to, boxes) {
  return (to.node.from ?? []).map((name) => {
    const is = (box) => box.node.part !== "sink" && (box.node.name === name || name.startsWith(`${box.node.name}.`));
    const from = boxes.filter(is).sort((a, b) => b.node.name.length - a.node.name.length)[0];
    if (!from) return null;
    const port = name.length > from.node.name.length ? name.slice(from.node.name.length + 1) : null;
    const alone = to.node.from.length === 1;
    return { from, to, port, rate: alone ? to.node.rows_in_per_s : null };
  }).filter((edge) => edge !== null);
}

// Layers of boxes: each stands one behind the last that it reads from, sinks stand in the last.
function rank(boxes, edges) {
  boxes.forEach((box) => { box.layer = 0; });
  // Nodes come in the order of a record's way.
  for (const box of boxes) {
    box.layer = Math.max(0, ...edges.filter((edge) => edge.to === box).map((edge) => edge.from.layer + 1));
  }
  const last = Math.max(0, ...boxes.map((box) => box.layer));
  boxes.filter((box) => box.node.part === "sink").forEach((box) => { box.layer = last; });
  return Array.from({ length: last + 1 }, (_, layer) => boxes.filter((box) => box.layer === layer));
}

// Places boxes: the order within a layer follows that of what a box is connected to.
function place(boxes, edges, layers, down) {
  layers.forEach((layer) => layer.forEach((box, at) => { box.at = at - (layer.length - 1) / 2; }));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const [near, far] = sweep % 2 === 0 ? ["to", "from"] : ["from", "to"];
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      for (const box of layer) {
        const others = edges.filter((edge) => edge[near] === box).map((edge) => edge[far].at);
        box.wish = others.length > 0 ? others.reduce((sum, at) => sum + at, 0) / others.length : box.at;
      }
      layer.sort((a, b) => a.wish - b.wish || a.at - b.at);
      layer.forEach((box, at) => { box.at = at - (layer.length - 1) / 2; });
    }
  }
  const tall = Math.max(...boxes.map((box) => box.height));
  const size = down ? BOX.width : tall;
  const widest = Math.max(...layers.map((layer) => layer.length));
  let along = MARGIN;
  for (const layer of layers) {
    const deep = down ? Math.max(...layer.map((box) => box.height)) : BOX.width;
    for (const box of layer) {
      const middle = MARGIN + ((widest - 1) / 2 + box.at) * (size + GAP.across) + size / 2;
      if (down) {
        [box.x, box.y] = [middle - BOX.width / 2, along];
      } else {
        [box.x, box.y] = [along, middle - box.height / 2];
      }
    }
    along += deep + (down ? GAP.rows : GAP.along);
  }
}

function drawn({ from, to, port, rate: rows }, down) {
  const start = down ? [from.x + BOX.width / 2, from.y + from.height] : [from.x + BOX.width, from.y + from.height / 2];
  const end = down ? [to.x + BOX.width / 2, to.y - 7] : [to.x - 7, to.y + to.height / 2];
  const middle = [(start[0] + end[0]) / 2, (start[1] + end[1]) / 2];
  const curve = down
    ? `${start[0]} ${middle[1]} ${end[0]} ${middle[1]}`
    : `${middle[0]} ${start[1]} ${middle[0]} ${end[1]}`;
  const head = down ? `M${end[0]} ${to.y} l-4.5 -8 h9 z` : `M${to.x} ${end[1]} l-8 -4.5 v9 z`;
  const label = [port, rows === null ? null : rate(rows)].filter((word) => word !== null);
  const flows = rows > 0 ? "edge flows" : "edge";
  const text = (word, at) => s("text", {
    class: "on-edge", x: middle[0] + (down ? 10 : -4), "text-anchor": down ? "start" : "middle",
    y: middle[1] + (down ? 4 : -8) - (label.length - 1 - at) * 14,
  }, cut(word, 12));
  return s("g", { "data-edge": `${from.node.name}>${to.node.name}` },
    s("path", { class: flows, d: `M${start.join(" ")} C${curve} ${end.join(" ")}` }),
    s("path", { class: "head", d: head }), label.map(text));
}

function boxed({ node, lines: said, x, y, height }, picked, pick) {
  const stage = node.part === "stage";
  const kind = node.part === "dead letters" ? "letters" : node.part;
  const name = node.part === "dead letters" ? node.part : node.name;
  const chosen = stage && node.name === picked;
  const keys = (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pick(node.name);
    }
  };
  const acts = stage
    ? { tabindex: 0, role: "button", "aria-pressed": chosen, click: () => pick(node.name), keydown: keys }
    : {};
  const label = (line) => (typeof line === "string" ? line : line.wrong);
  return s("g", { ...acts, class: `box ${kind}${chosen ? " chosen" : ""}`, "data-key": `${kind} ${name}`,
    "aria-label": [name, ...said.map(label)].join(", ") },
  s("title", {}, stage ? `${name}: show its versions and rows` : name),
  s("rect", { x, y, width: BOX.width, height, rx: 7 }),
  s("text", { class: "name", x: x + BOX.pad, y: y + BOX.pad + 11 }, cut(name, CHARACTERS - 3)),
  said.map((line, at) => s("text", {
    class: typeof line === "string" ? "" : "wrong", x: x + BOX.pad, y: y + BOX.pad + 11 + (at + 1) * BOX.line,
  }, cut(label(line), CHARACTERS))));
}
