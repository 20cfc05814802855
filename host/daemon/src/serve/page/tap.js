// Rows of a stage as they pass, for as long as somebody looks: server-sent events.

import { count, fill, h } from "./dom.js";

const ROWS_KEPT = 25;
const SHOW_EVERY_MS = 250;
const CHARACTERS_MAX = 2_000;

// A tap of one stage: its element, and `close`. It is closed at first.
export function tap(pipeline, stage) {
  let source = null;
  let timer = null;
  let seen = 0;
  let rows = [];
  const list = h("ol", { class: "rows", tabindex: 0, "aria-label": `rows of ${stage}` });
  const note = h("span", { class: "quiet", role: "status" });
  const input = h("input", { type: "checkbox", change: () => { if (source) open(); } });
  const button = h("button", { type: "button", click: () => (source ? close("closed") : open()) }, "tap");

  function open() {
    close("");
    const path = `/api/v1/pipelines/${encodeURIComponent(pipeline)}/stages/${encodeURIComponent(stage)}/tap`;
    source = new EventSource(`${path}?input=${input.checked}`);
    source.addEventListener("message", ({ data }) => {
      seen += 1;
      rows.unshift(data);
      rows.length = Math.min(rows.length, ROWS_KEPT);
      timer ??= setTimeout(show, SHOW_EVERY_MS);
    });
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) close("the server refuses: does the pipeline run?");
    });
    [seen, rows] = [0, []];
    button.textContent = "close";
    note.textContent = "waiting for rows …";
  }

  function show() {
    timer = null;
    note.textContent = `${count(seen)} rows, a sample`;
    fill(list, rows.map(row));
  }

  function close(why) {
    source?.close();
    source = null;
    button.textContent = "tap";
    note.textContent = why;
  }

  const element = h("div", { class: "tap" },
    h("div", { class: "bar" }, button, h("label", {}, input, " rows that come in"), note), list);
  return { element, close: () => close("") };
}

function row(data) {
  let told;
  try {
    told = JSON.parse(data);
  } catch {
    told = { row: data };
  }
  const text = JSON.stringify(told.row).slice(0, CHARACTERS_MAX);
  const port = told.port && told.port !== "main" ? h("span", { class: "port" }, told.port) : null;
  return h("li", {}, port, h("code", {}, text));
}
