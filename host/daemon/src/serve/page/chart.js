// Throughput over the last minutes, with each change of code as a mark.

import { brief, cut, h, rate, s, short, time } from "./dom.js";

const WINDOW_MS = 300_000;
const HEIGHT = 190;
const EDGE = { left: 46, right: 12, top: 26, bottom: 22 };

// Width of a character, and the room that a mark's sign takes to each side.
const CHARACTER = 7;
const BESIDE = 8;

// What an event is as a mark: its sign, and how one and several of it are called.
const MARKS = {
  swapped: ["▼", "swap", "swaps"],
  "went-back": ["▲", "way back", "ways back"],
  failed: ["✕", "failure", "failures"],
};

// Draws samples and events, oldest first, `width` pixels wide.
export function chart(samples, events, width) {
  const now = Math.max(samples.at(-1)?.at_ms ?? Date.now(), events.at(-1)?.at_ms ?? 0);
  const from = now - WINDOW_MS;
  const seen = samples.filter((sample) => sample.at_ms >= from);
  const rates = seen.flatMap((sample) => [sample.rows_in_per_s, sample.rows_out_per_s]);
  const most = nice(Math.max(1, ...rates));
  const x = (ms) => EDGE.left + ((ms - from) / WINDOW_MS) * (width - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - (value / most) * (HEIGHT - EDGE.top - EDGE.bottom);
  const marks = events.filter((event) => event.kind in MARKS && event.at_ms >= from);
  const last = seen.at(-1);
  const words = last ? `${rate(last.rows_in_per_s)} in, ${rate(last.rows_out_per_s)} out` : "no samples yet";
  const label = `Rows a second over the last five minutes: now ${words}; ${marks.length} marks`;
  return h("figure", { class: "chart" },
    h("figcaption", {},
      h("span", { class: "key in" }, `in ${last ? rate(last.rows_in_per_s) : "–"}`),
      h("span", { class: "key out" }, `out ${last ? rate(last.rows_out_per_s) : "–"}`),
      said(marks)),
    s("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label },
      grid(most, from, now, x, y, width),
      s("path", { class: "area", d: area(seen, x, y) }),
      s("path", { class: "line in", d: line(seen, "rows_in_per_s", x, y) }),
      s("path", { class: "line out", d: line(seen, "rows_out_per_s", x, y) }),
      drawn(marks, x, width)));
}

// `2 swaps, 1 failed`.
function said(marks) {
  const words = Object.entries(MARKS).map(([kind, [, name, names]]) => {
    const number = marks.filter((event) => event.kind === kind).length;
    return number > 0 ? `${number} ${number > 1 ? names : name}` : null;
  });
  return h("span", { class: "quiet" }, words.filter((word) => word !== null).join(", "));
}

// The next of 1, 2, 5, 10, ... that leaves room above.
function nice(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * unit).find((step) => step >= value * 1.05) ?? 20 * unit;
}

function grid(most, from, now, x, y, width) {
  const lines = [0, most / 2, most].map((value) => [
    s("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
    s("text", { x: EDGE.left - 7, y: y(value) + 4, "text-anchor": "end" }, brief(value)),
  ]);
  const minutes = width < 480 ? [4, 2] : [4, 3, 2, 1];
  const ticks = minutes.map((ago) => s("text", {
    x: x(now - ago * 60_000), y: HEIGHT - 5, "text-anchor": "middle",
  }, `−${ago} min`));
  const here = s("text", { x: x(now), y: HEIGHT - 5, "text-anchor": "end" }, time(now));
  return [lines, ticks, here].flat(2);
}

// A gap of some seconds, as while a server is down, is not bridged.
function line(samples, of, x, y) {
  let before = 0;
  return samples.map((sample) => {
    const pen = sample.at_ms - before > 5_000 ? "M" : "L";
    before = sample.at_ms;
    return `${pen}${x(sample.at_ms).toFixed(1)} ${y(sample[of]).toFixed(1)}`;
  }).join("");
}

function area(samples, x, y) {
  if (samples.length < 2) return "";
  const [first, last] = [samples[0], samples.at(-1)];
  const top = samples.map((sample) => `L${x(sample.at_ms).toFixed(1)} ${y(sample.rows_in_per_s).toFixed(1)}`);
  return `M${x(first.at_ms).toFixed(1)} ${y(0)}${top.join("")}L${x(last.at_ms).toFixed(1)} ${y(0)}Z`;
}

// Marks with their names, as far as those find room beside other marks and the edges.
function drawn(marks, x, width) {
  let taken = EDGE.left;
  return marks.map((event, number) => {
    const at = x(event.at_ms);
    const { stage = "", to = "" } = event.facts ?? {};
    const name = cut(event.kind === "swapped" ? `${stage} ${short(to).slice(0, 6)}` : stage, 22);
    const long = 2 * BESIDE + name.length * CHARACTER;
    const room = number + 1 < marks.length ? x(marks[number + 1].at_ms) : width;
    const side = at + long <= room && at >= taken ? 1 : at - long >= taken ? -1 : 0;
    taken = Math.max(taken, side > 0 ? at + long : at + BESIDE);
    return mark(event, at, side === 0 ? "" : name, side);
  });
}

function mark(event, at, name, side) {
  return s("g", { class: `mark ${event.kind}`, "data-mark": event.kind },
    s("title", {}, `${time(event.at_ms)} ${event.message}`),
    s("line", { x1: at, x2: at, y1: EDGE.top - 6, y2: HEIGHT - EDGE.bottom }),
    s("text", { class: "sign", x: at, y: EDGE.top - 8, "text-anchor": "middle" }, MARKS[event.kind][0]),
    s("text", { x: at + side * BESIDE, y: EDGE.top - 8, "text-anchor": side < 0 ? "end" : "start" }, name));
}
