// What the page shows and when: `#` all pipelines, `#NAME` one, `#NAME/STAGE` one with a stage of it. Asks the API once
// a second, and not while nobody looks.

import { chart } from "./chart.js";
import { fill, h } from "./dom.js";
import { graph } from "./graph.js";
import * as parts from "./parts.js";
import { tap } from "./tap.js";

const EVERY_MS = 1_000;
const PATIENCE_MS = 10_000;
const SAMPLES_KEPT = 300;
const EVENTS_SHOWN = 50;
const LINES_SHOWN = 20;

const main = document.getElementById("main");
const health = document.getElementById("health");
let view = null;
let timer = null;
let turn = 0;

// What the server says at a path; an error has the words of its refusal.
async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.detail), { status: answer.status });
  return said;
}

// A part of the page with a title, and the element that is filled.
function section(title, name) {
  const body = h("div", { class: "body", tabindex: 0, role: "region", "aria-label": title });
  return { element: h("section", { class: name, hidden: true }, h("h2", {}, title), body), body };
}

function show(part, ...children) {
  part.element.hidden = false;
  fill(part.body, ...children);
}

function overview() {
  const [pipelines, events] = [section("Pipelines", "pipelines"), section("Events", "events")];
  main.replaceChildren(pipelines.element, events.element);
  return {
    async look() {
      const [all, past] = await Promise.all([ask("/api/v1/pipelines"), ask(`/api/v1/events?limit=${EVENTS_SHOWN}`)]);
      return () => {
        show(pipelines, parts.list(all));
        show(events, parts.events(past));
      };
    },
    close() {},
  };
}

function single(name) {
  const head = h("div", { class: "head" });
  const part = {
    graph: section("Graph", "drawn"), chart: section("Rows a second", "drawn"), stage: section("Stage", "stage"),
    nodes: section("Parts", "nodes"), events: section("Events", "events"), letters: section("Dead letters", "letters"),
    logs: section("Log", "logs"),
  };
  const tapped = h("div");
  part.stage.element.append(tapped);
  main.replaceChildren(head, ...Object.values(part).map((one) => one.element));
  const path = `/api/v1/pipelines/${encodeURIComponent(name)}`;
  let samples = [];
  let open = null;

  function stage(whole) {
    const stages = whole.nodes.filter((node) => node.part === "stage");
    const node = stages.find((one) => one.name === place().stage) ?? stages[0];
    if (open?.name !== node?.name) {
      open?.tap.close();
      open = node ? { name: node.name, tap: tap(name, node.name) } : null;
      tapped.replaceChildren(...(open ? [open.tap.element] : []));
    }
    part.stage.element.hidden = !node;
    if (!node) return null;
    part.stage.element.querySelector("h2").textContent = `Stage ${node.name}`;
    show(part.stage, parts.versions(node));
    return node.name;
  }

  return {
    async look() {
      const since = samples.at(-1)?.at_ms ?? 0;
      const asked = [path, `${path}/history?after_ms=${since}`, `${path}/dead-letters?limit=${LINES_SHOWN}`,
        `${path}/logs?limit=${LINES_SHOWN}`,
        `/api/v1/events?pipeline=${encodeURIComponent(name)}&limit=${EVENTS_SHOWN}`];
      const [whole, fresh, letters, logs, events] = await Promise.all(asked.map(ask));
      samples = [...samples, ...fresh.filter((sample) => sample.at_ms > since)].slice(-SAMPLES_KEPT);
      return () => {
        fill(head, parts.head(whole));
        const picked = stage(whole);
        const width = part.stage.element.hidden ? main.clientWidth - 30 : part.stage.body.clientWidth;
        [part.graph, part.nodes].forEach((one) => { one.element.hidden = whole.nodes.length === 0; });
        if (whole.nodes.length > 0) {
          show(part.graph, graph(whole.nodes, width, picked, (to) => { location.hash = parts.link(name, to); }));
          show(part.nodes, parts.nodes(whole));
        }
        if (samples.length > 0) show(part.chart, chart(samples, events, Math.max(280, width)));
        show(part.events, parts.events(events));
        show(part.letters, parts.letters(letters));
        show(part.logs, parts.logs(logs));
      };
    },
    close() { open?.tap.close(); },
  };
}

function place() {
  const [name, stage] = location.hash.slice(1).split("/").map((word) => {
    try {
      return decodeURIComponent(word);
    } catch {
      return word;
    }
  });
  return { name, stage };
}

function route() {
  const { name } = place();
  if (view === null || view.name !== name) {
    view?.now.close();
    view = { name, now: name ? single(name) : overview() };
    document.getElementById("here").textContent = name;
    document.title = name ? `${name} · wasmill` : "wasmill";
  }
  look();
}

// Looks now, and again in a second. Answers to what nobody asks for any more are dropped.
async function look() {
  clearTimeout(timer);
  turn += 1;
  const mine = turn;
  if (document.hidden) return;
  try {
    const draw = await view.now.look();
    if (mine !== turn) return;
    draw();
    tell(view.note ?? "", view.note ? "wrong" : "");
  } catch (error) {
    if (mine !== turn) return;
    if (error.status === 404) {
      view.now.close();
      view = { name: view.name, now: overview(), note: error.message };
      tell(view.note, "wrong");
    } else {
      tell(error.status ? error.message : "the server does not answer; trying again", "wrong");
    }
  }
  timer = setTimeout(look, EVERY_MS);
}

function tell(words, kind) {
  if (health.textContent !== words) health.textContent = words;
  health.className = kind;
}

addEventListener("hashchange", route);
addEventListener("resize", look);
document.addEventListener("visibilitychange", () => (document.hidden ? view.now.close() : look()));
route();
