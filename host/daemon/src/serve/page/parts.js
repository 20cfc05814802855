// The parts of the page, each made of what the API says.

import { behind, brief, count, cut, h, rate, short, span, time, took } from "./dom.js";

const RECORD_CHARACTERS_MAX = 1_000;

export function state(word) {
  return h("span", { class: `state ${word}` }, word);
}

// Where a pipeline, and a stage of it, are shown.
export function link(pipeline, stage) {
  return `#${[pipeline, stage].filter((name) => name).map(encodeURIComponent).join("/")}`;
}

// The list of all pipelines.
export function list(pipelines) {
  if (pipelines.length === 0) {
    return h("p", { class: "none" }, "No pipelines yet. Apply one: ", h("code", {}, "wasmill apply pipeline.yaml"));
  }
  const row = (of) => h("tr", {},
    h("th", { scope: "row" }, h("a", { href: link(of.name), "data-key": of.name }, of.name)),
    h("td", {}, state(of.state)),
    number(rate(of.rows_in_per_s)), number(rate(of.rows_out_per_s)),
    h("td", { class: "quiet" }, lag(of)),
    number(some(of.dead_letters), of.dead_letters > 0), number(some(of.failures), of.failures > 0),
    number(of.revision));
  const titles = ["pipeline", "state", "-in", "-out", "lag", "-dead", "-failed calls", "-revision"];
  return table(titles, pipelines.map(row));
}

// What a pipeline, or a source, is behind by and what waits in it, in words.
function lag(of) {
  const waiting = of.waiting_rows > 0 ? [`${brief(of.waiting_rows)} rows wait`] : [];
  return [...behind(of.lag ?? {}), ...waiting].join(", ");
}

// Name, state and totals of one pipeline.
export function head(whole) {
  const facts = [`revision ${whole.revision}`, whole.file];
  if (whole.up_s !== null) facts.push(`up ${span(whole.up_s)}`);
  if (whole.committed_epoch !== null) facts.push(`epoch ${count(whole.committed_epoch)} committed`);
  const tile = (name, value, kind) => h("div", { class: `tile ${kind ?? ""}` }, h("dt", {}, name),
    h("dd", { title: count(value) }, value < 1e9 ? count(value) : brief(value)));
  return [
    h("div", { class: "title" }, h("h1", {}, whole.name), state(whole.state),
      h("span", { class: "quiet" }, facts.join(" · "))),
    whole.reason ? h("p", { class: "reason", role: "alert" }, whole.reason) : null,
    whole.nodes.length === 0
      ? h("p", { class: "none" }, "It has not run since this server started.")
      : h("dl", { class: "tiles" }, tile("records in", whole.records_in), tile("rows committed", whole.rows_out),
        tile("filtered", whole.filtered),
        tile("dead letters", whole.dead_letters, whole.dead_letters > 0 ? "wrong" : "")),
  ];
}

// A line for each source, stage and sink.
export function nodes(whole) {
  const row = (node) => h("tr", {},
    h("th", { scope: "row" }, node.part === "dead letters" ? "" : node.name),
    h("td", { class: "quiet" }, node.part),
    number(rate(node.rows_in_per_s)), number(rate(node.rows_out_per_s)),
    number(count(node.rows_in)), number(count(node.rows_out)),
    number(some(node.filtered)), number(some(node.dead_letters), node.dead_letters > 0),
    number(some(node.failures), node.failures > 0),
    number(node.part === "stage" && node.batches > 0 ? `${brief(node.batch_rows)} in ${took(node.batch_us)}` : ""),
    number(percentiles(node.took)), number(percentiles(node.age)),
    h("td", { class: "quiet" }, lag({ ...node, waiting_rows: waits(node) })),
    h("td", { class: "quiet place" }, node.place ?? ""));
  const titles = ["name", "part", "-in", "-out", "-rows in", "-rows out", "-filtered", "-dead", "-failed calls",
    "-a batch", "-batch p50 / p99", "-age p50 / p99", "lag", "place"];
  return table(titles, whole.nodes.map(row));
}

function waits(node) {
  return (node.inputs ?? []).reduce((sum, input) => sum + input.waiting_rows, 0);
}

// `300 µs / 1.2 ms`
function percentiles(times) {
  return times?.max_us > 0 ? `${took(times.p50_us)} / ${took(times.p99_us)}` : "";
}

// The versions of a stage, newest first, and its own metrics.
export function versions(node) {
  const row = (of) => h("tr", { class: of.live ? "live" : "" },
    h("th", { scope: "row" }, `v${of.version}`),
    h("td", {}, h("code", { title: of.digest }, short(of.digest))),
    h("td", {}, of.live ? state(of.watched ? "watched" : "live") : ""),
    number(count(of.rows_in)), number(count(of.rows_out)), number(count(of.batches)),
    number(of.batches > 0 ? took(of.batch_us) : ""), number(percentiles(of.took)),
    number(some(of.failures), of.failures > 0));
  const titles = ["version", "digest", "", "-rows in", "-rows out", "-batches", "-a batch", "-p50 / p99",
    "-failed calls"];
  const metrics = (node.metrics ?? []).map(([name, value]) => h("li", {}, name, " ", h("b", {}, brief(value))));
  return [table(titles, [...node.versions].reverse().map(row)),
    metrics.length > 0 ? h("ul", { class: "metrics" }, metrics) : null];
}

// What happened, newest first.
export function events(all) {
  if (all.length === 0) return h("p", { class: "none" }, "Nothing happened yet.");
  const row = (event) => h("li", { class: event.kind }, h("time", {}, time(event.at_ms)),
    h("span", { class: "kind" }, event.kind), h("span", { class: "said" }, event.message));
  return h("ol", { class: "lines" }, [...all].reverse().map(row));
}

// Dead letters with their reasons, newest first.
export function letters(all) {
  if (all.length === 0) return h("p", { class: "none" }, "None.");
  return h("ol", { class: "lines" }, [...all].reverse().map(({ letter }) => {
    if (typeof letter !== "object" || letter === null) return h("li", {}, record(letter));
    const where = [letter.stage ? letter.source : null, letter.partition, letter.line ? `line ${letter.line}` : null];
    return h("li", { class: "letter" },
      h("time", {}, letter.at ? time(Date.parse(letter.at)) : ""),
      h("span", {}, h("b", {}, letter.stage ?? letter.source ?? ""), " ",
        h("span", { class: "quiet" }, where.filter((word) => word).join(" "))),
      h("span", { class: "said" }, letter.reason ?? "", " ", record(letter.record ?? letter.record_base64 ?? "")));
  }));
}

function record(text) {
  return h("code", {}, cut(String(text), RECORD_CHARACTERS_MAX));
}

// What guests logged, newest first.
export function logs(all) {
  if (all.length === 0) return h("p", { class: "none" }, "None.");
  const row = (line) => h("li", { class: line.level }, h("time", {}, time(line.at_ms)),
    h("span", { class: "kind" }, `${line.stage} ${line.level}`), h("span", { class: "said" }, line.message));
  return h("ol", { class: "lines" }, [...all].reverse().map(row));
}

// Titles that begin with `-` are of numbers.
function table(titles, rows) {
  const kind = (text) => (text.startsWith("-") ? "number" : "");
  const title = (text) => h("th", { scope: "col", class: kind(text) }, text.replace(/^-/, ""));
  return h("table", {}, h("thead", {}, h("tr", {}, titles.map(title))), h("tbody", {}, rows));
}

function number(text, wrong) {
  return h("td", { class: wrong ? "number wrong" : "number" }, text);
}

function some(number) {
  return number > 0 ? count(number) : "";
}
