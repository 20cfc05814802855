// The graph of a pipeline: a box a source, stage and sink, in columns from left to right, or in rows where the page is
// narrow; on each edge the rows a second that its reader takes, and those that wait for it.

import { behind, brief, count, cut, rate, s, took } from "./dom.js";
import { layout } from "./layout.js";

const BOX = { width: 178, line: 16, pad: 11 };
const NARROW = { along: 48, across: 14, passing: 34 };
const WIDE = { along: 62, across: 20, passing: 22 };
const ALONG_MAX = 170;
// An edge is shorter than its rate's text with room around it.
const SHORT = 90;
const MARGIN = 6;
const CHARACTERS = 21;
// How far a graph is made smaller before it has to be scrolled.
const SCALE_MIN = 0.85;

// Draws the nodes of a pipeline at most `width` wide where that can be; `pick` is called with the name of a stage.
export function graph(nodes, width, picked, pick) {
  const boxes = nodes.filter((node) => node.part !== "dead letters").map(box);
  const edges = boxes.flatMap((to) => inputs(to, boxes));
  const layers = depth(boxes, edges);
  const down = SCALE_MIN * (layers * (BOX.width + WIDE.along) - WIDE.along + 2 * MARGIN) > width;
  const spare = (width - 2 * MARGIN - layers * BOX.width) / Math.max(1, layers - 1);
  layout(boxes, edges, down, down ? NARROW : { ...WIDE, along: Math.min(Math.max(spare, WIDE.along), ALONG_MAX) });
  const letters = nodes.filter((node) => node.part === "dead letters").map(box);
  const low = Math.max(0, ...boxes.map((one) => one.y + one.height));
  letters.forEach((one) => { [one.x, one.y] = [0, low + 26]; });
  boxes.push(...letters);
  const right = Math.max(0, ...boxes.map((one) => one.x + BOX.width)) + 2 * MARGIN;
  const bottom = Math.max(0, ...boxes.map((one) => one.y + one.height)) + 2 * MARGIN;
  const drawing = s("svg", { class: "graph", viewBox: `${-MARGIN} ${-MARGIN} ${right} ${bottom}`, width: right,
    height: bottom, role: "group", "aria-label": "Graph of the pipeline" },
  edges.map((edge) => drawn(edge, down)), boxes.map((one) => boxed(one, picked, pick)),
  edges.map((edge) => named(edge, down)));
  drawing.style.minWidth = `${right * SCALE_MIN}px`;
  return drawing;
}

function box(node) {
  const said = lines(node);
  const height = 2 * BOX.pad + BOX.line * (said.length + 1) - 3;
  return { node, said, sink: node.part === "sink", width: BOX.width, height };
}

// What a box says below its name.
function lines(node) {
  const said = [rate(node.part === "source" ? node.rows_out_per_s : node.rows_in_per_s)];
  if (node.part === "stage") {
    const live = node.versions?.find((version) => version.live);
    if (live) said.push(`v${live.version} ${live.digest.slice(0, 8)}${live.watched ? " watched" : ""}`);
    if (node.batches > 0) {
      said.push(`${rows(node.batch_rows)} in ${took(node.batch_us)}`, `p99 ${took(node.took.p99_us)}`);
    }
  } else {
    said.push(rows(node.part === "source" ? node.rows_in : node.rows_out));
    said.push(...behind(node.lag ?? {}, true));
    if (node.age?.max_us > 0) said.push(`p99 ${took(node.age.p99_us)} old`);
  }
  const wrong = [[node.dead_letters, "dead"], [node.failures, "failed"]].filter(([number]) => number > 0);
  if (wrong.length > 0) said.push({ wrong: wrong.map(([number, word]) => `${brief(number)} ${word}`).join(", ") });
  return said;
}

function rows(number) {
  return `${number < 1e5 ? count(number) : brief(number)} ${Math.round(number) === 1 ? "row" : "rows"}`;
}

// The edges that lead to a box. `stage.port` names a port.
function inputs(to, boxes) {
  return (to.node.inputs ?? []).map((input) => {
    const name = input.from;
    const is = (one) => !one.sink && (one.node.name === name || name.startsWith(`${one.node.name}.`));
    const from = boxes.filter(is).sort((a, b) => b.node.name.length - a.node.name.length)[0];
    if (!from) return null;
    const port = name.length > from.node.name.length ? name.slice(from.node.name.length + 1) : null;
    return { from, to, port, flow: input.rows_per_s, waiting: input.waiting_rows };
  }).filter((edge) => edge !== null);
}

// Layers that the graph has.
function depth(boxes, edges) {
  const layer = new Map();
  for (const one of boxes) {
    layer.set(one, Math.max(1, ...edges.filter((edge) => edge.to === one).map((edge) => layer.get(edge.from) + 1)));
  }
  return Math.max(1, ...layer.values());
}

// The points that an edge passes, as pairs of start and end: [along the flow, across it].
function way({ from, to, cells }, down) {
  const middle = (one) => (down ? one.x + one.width / 2 : one.y + one.height / 2);
  const [start, end] = [down ? from.y + from.height : from.x + from.width, (down ? to.y : to.x) - 7];
  const stops = [[start, middle(from)], ...cells.flatMap((one) => [[one.start, one.middle], [one.end, one.middle]]),
    [end, middle(to)]];
  return stops.map(([along, over]) => (down ? [over, along] : [along, over]));
}

function drawn(edge, down) {
  const points = way(edge, down);
  const path = points.slice(1).map(([x, y], at) => {
    const [a, b] = points[at];
    const [p, q] = [(a + x) / 2, (b + y) / 2];
    return down ? `C${a} ${q} ${x} ${q} ${x} ${y}` : `C${p} ${b} ${p} ${y} ${x} ${y}`;
  });
  const [x, y] = points.at(-1);
  const head = down ? `M${x} ${y + 7} l-4.5 -8 h9 z` : `M${x + 7} ${y} l-8 -4.5 v9 z`;
  return s("g", { "data-edge": `${edge.from.node.name} to ${edge.to.node.name}` },
    s("path", { class: edge.flow > 0 ? "edge flows" : "edge", d: `M${points[0].join(" ")} ${path.join(" ")}` }),
    s("path", { class: "head", d: head }));
}

// Port and rate stand at the line: above it where it passes a layer or is short, or else on it between its two boxes.
function named(edge, down) {
  const points = way(edge, down);
  const passes = edge.cells.length > 0;
  const [[a, b], [x, y]] = passes ? [points[1], points[2]] : [points[0], points.at(-1)];
  const waiting = edge.waiting > 0 ? `${brief(edge.waiting)} wait` : null;
  const words = [edge.port, rate(edge.flow), waiting].filter((word) => word !== null);
  const said = passes && !down ? [words.join(" ")] : words;
  const above = !down && (passes || x - a < SHORT);
  const first = above ? 6 - 14 * said.length : 4 - 7 * (said.length - 1);
  return said.map((word, at) => s("text", {
    class: "on-edge", x: (a + x) / 2, "text-anchor": "middle", y: (b + y) / 2 + first + 14 * at,
  }, cut(word, passes && !down ? 24 : 10)));
}

function boxed({ node, said, x, y, height }, picked, pick) {
  const stage = node.part === "stage";
  const letters = node.part === "dead letters";
  const kind = !letters ? node.part : node.rows_in > 0 ? "letters some" : "letters";
  const name = letters ? node.part : node.name;
  const chosen = stage && node.name === picked;
  const keys = (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pick(node.name);
    }
  };
  const acts = stage
    ? { tabindex: 0, role: "button", "aria-pressed": String(chosen), click: () => pick(node.name), keydown: keys }
    : { role: "img" };
  const label = (line) => (typeof line === "string" ? line : line.wrong);
  return s("g", { ...acts, class: `box ${kind}${chosen ? " chosen" : ""}`, "data-key": `${kind} ${name}`,
    "aria-label": [name, ...said.map(label)].join(", ") },
  s("title", {}, stage ? `${name}: show its versions and rows` : name),
  s("rect", { x, y, width: BOX.width, height, rx: 7 }),
  s("text", { class: "name", x: x + BOX.pad, y: y + BOX.pad + 11 }, cut(name, CHARACTERS - 2)),
  said.map((line, at) => s("text", {
    class: typeof line === "string" ? "" : "wrong", x: x + BOX.pad, y: y + BOX.pad + 11 + (at + 1) * BOX.line,
  }, cut(label(line), CHARACTERS))));
}
