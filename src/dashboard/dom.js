// Elements, words and numbers. Whatever comes from a log reaches the page by text nodes and attributes, never as markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

/** Fills an element: `on…` are listeners, `style` goes through the CSSOM, null and false are left out. */
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);

const FOCUSABLE = "button, input, select, [tabindex]";
/** Puts new content into a box; who was at the nth control stays at the nth control. */
function swap(box, ...content) {
  const at = box.contains(document.activeElement) ? [...box.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement) : -1;
  box.replaceChildren(...content.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  if (at >= 0) box.querySelectorAll(FOCUSABLE)[at]?.focus({ preventScroll: true });
}

/** A label of a log as it can be read: control and direction characters are shown, not obeyed. */
function label(text) {
  if (text === null || text === undefined) return "(none)";
  if (text === "") return "(empty)";
  return String(text)
    .replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\u007f/g, "\u2421")
    .replace(/[\u0080-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
      (c) => `\u2039${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}\u203a`);
}
/** The same, cut in the middle: the ends of paths tell more than their middles. */
function cut(text, most) {
  const all = Array.from(label(text));
  if (all.length <= most) return all.join("");
  const head = Math.ceil((most - 1) * 0.6);
  return `${all.slice(0, head).join("")}…${all.slice(all.length - (most - 1 - head)).join("")}`;
}
/** A label in its own direction of writing. */
const name = (text, most) => el("bdi", { title: label(text) }, most ? cut(text, most) : label(text));

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const count = (value) => (value === null || value === undefined ? "–" : whole.format(value));
const decimal = (value) => (value === null || value === undefined ? "–" : fine.format(value));
function percent(value) {
  if (value === null || value === undefined) return "–";
  const hundred = value * 100;
  return `${hundred.toFixed(hundred > 0 && hundred < 9.95 ? 1 : 0)}%`;
}
/** Seconds in the two units that matter. */
function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.abs(seconds);
  if (s < 10) return `${+s.toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const at = s >= 86400 ? 0 : s >= 3600 ? 1 : 2;
  const [[large, per], [small, part]] = [units[at], units[at + 1]];
  const parts = Math.round(s / part);
  const rest = parts % (per / part);
  return `${Math.floor(parts / (per / part))} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}
const dayNames = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const day = (text) => (text ? dayNames.format(new Date(`${String(text).slice(0, 10)}T00:00:00Z`)) : "–");
const clock = (text) => (text ? `${day(text)} ${String(text).slice(11, 19)}` : "–");

/** One of our words by a key that anybody may have written. */
const pick = (words, key, usual) => (Object.hasOwn(words, key ?? "") ? words[key] : usual);

/** Something for the ears only. */
function say(text) {
  byId("said").textContent = text;
}

// The one tooltip: lines of text beside the pointer or the focused thing.
const tip = {
  show(lines, x, y) {
    const box = byId("tip");
    box.replaceChildren(...lines.map((line, at) => el(at ? "div" : "strong", {}, line)));
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    box.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
    box.style.top = `${y + 18 + height > innerHeight ? Math.max(8, y - height - 12) : y + 18}px`;
  },
  hide() {
    byId("tip").hidden = true;
  },
  /** Shows `lines()` while an element is under the pointer or has the focus. */
  on(node, lines) {
    node.addEventListener("pointermove", (event) => tip.show(lines(), event.clientX, event.clientY));
    node.addEventListener("pointerleave", tip.hide);
    node.addEventListener("focus", () => {
      if (!node.matches(":focus-visible")) return;
      const box = node.getBoundingClientRect();
      tip.show(lines(), box.right - 8, box.top);
    });
    node.addEventListener("blur", tip.hide);
    return node;
  },
};

/**
 * A table of rows. A column is {key, head, text, num, heat, bar, cell}: `text(value, row)` spells a value, `heat(row)`
 * gives 0..1 for a tint, `bar(row)` 0..1 for a bar, `cell(row)` nodes in place of a text. The exact value is the cell's
 * `data-value`.
 */
function table(rows, columns, caption, attributes) {
  const head = columns.map((column) =>
    el("th", { scope: "col", class: column.num ? "num" : null, title: column.hint }, column.head));
  const body = rows.map((row) => el("tr", { class: attributes?.mark?.(row) ? "marked" : null },
    columns.map((column, at) => cell(row, column, at === 0))));
  return el("table", { class: attributes?.class }, el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, head)), el("tbody", {}, body));
}
function cell(row, column, first) {
  const value = row[column.key];
  const content = column.cell ? column.cell(row) : column.text ? column.text(value, row) : label(value);
  const heat = column.heat?.(row);
  const bar = column.bar?.(row);
  const given = value === null || value === undefined ? null : typeof value === "object" ? JSON.stringify(value) : value;
  return el(first ? "th" : "td", {
    scope: first ? "row" : null,
    class: [column.num && "num", heat !== undefined && "heat", bar !== undefined && "bar", column.wide && "wide"]
      .filter(Boolean).join(" ") || null,
    "data-key": column.key,
    "data-value": given,
    style: heat !== undefined ? { "--heat": `${(heat * 100).toFixed(1)}%` }
      : bar !== undefined ? { "--bar": `${(bar * 100).toFixed(1)}%` } : null,
  }, content);
}

/** A bordered remark in place of a chart. */
const empty = (title, ...more) => el("div", { class: "empty" }, el("p", {}, el("strong", {}, title)), more);
