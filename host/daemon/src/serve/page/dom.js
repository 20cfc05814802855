// Elements and texts. What comes from data is only ever set as text or as an attribute, never read as markup.

// From when on it is worth a word that a source brings nothing.
const IDLE_S = 2;

const SVG = "http://www.w3.org/2000/svg";

// An element of HTML: attributes by name, functions as listeners, children as elements or texts.
export function h(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

// An element of SVG.
export function s(name, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, name), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name, value);
    } else if (value !== undefined && value !== null && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

// Puts new children into an element, unless they show the same: who reads, selects or has the focus is not disturbed.
export function fill(element, ...children) {
  const fresh = children.flat(Infinity).filter((child) => child !== null && child !== undefined);
  const shown = fresh.map((child) => (child instanceof Node ? child.outerHTML : child)).join("\n");
  if (element.shown === shown) return;
  element.shown = shown;
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  element.replaceChildren(...fresh);
  if (focused) {
    const again = [...element.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused);
    again?.focus({ preventScroll: true });
  }
}

// `12,345`.
export function count(number) {
  return Math.round(number).toLocaleString("en-US");
}

// Four digits at most: `950`, `12.3k`, `4.56M`.
export function brief(number) {
  for (const [unit, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (number >= unit * 0.9995) {
      const value = number / unit;
      if (value >= 99.95) return count(value) + name;
      return value.toFixed(value < 9.995 ? 2 : 1).replace(/\.?0+$/, "") + name;
    }
  }
  return number > 0 && number < 9.95 ? number.toFixed(1).replace(/\.0$/, "") : count(number);
}

// Rows a second.
export function rate(number) {
  return `${brief(number)}/s`;
}

// `850 µs`, `12.3 ms`.
export function took(micros) {
  if (micros >= 999_500) return `${(micros / 1e6).toFixed(2)} s`;
  return micros >= 999.5 ? `${(micros / 1e3).toFixed(1)} ms` : `${count(micros)} µs`;
}

// What a source, or all of a pipeline, is behind by: `1.2M bytes behind`, `3 s behind`; with `all` also for how long
// nothing has come.
export function behind(lag, all) {
  const of = [[lag.behind_bytes, "B"], [lag.behind_rows, "rows"]].filter(([number]) => number > 0);
  const words = of.map(([number, unit]) => `${brief(number)} ${unit} behind`);
  if (lag.event_time_s !== undefined) words.push(`event time −${span(Math.max(0, lag.event_time_s))}`);
  if (all && lag.idle_s >= IDLE_S) words.push(`idle for ${span(lag.idle_s)}`);
  return words;
}

// `3 h 12 min`, the two largest units.
export function span(seconds) {
  const units = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];
  const first = Math.max(0, units.findIndex(([unit]) => seconds >= unit));
  if (seconds < 1) return "0 s";
  let left = Math.floor(seconds);
  const words = units.slice(first, first + 2).map(([unit, name]) => {
    const whole = Math.floor(left / unit);
    left -= whole * unit;
    return whole > 0 ? `${whole} ${name}` : null;
  });
  return words.filter((word) => word !== null).join(" ");
}

// `14:03:59`, with the day where that is not today.
export function time(ms) {
  const at = new Date(ms);
  const two = (number) => String(number).padStart(2, "0");
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  const today = new Date().toDateString() === at.toDateString();
  return today ? clock : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`;
}

// The beginning of a digest, as people are shown it.
export function short(digest) {
  return digest.slice(0, 12);
}

// A text that may be long, cut.
export function cut(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
