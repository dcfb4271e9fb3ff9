// The frame around every chart: its title, what it says, its SQL, its rows as a table, CSV and PNG.
"use strict";

const panels = [];

/**
 * A panel: {id, title, about, load, draw, rows, columns, wide, tools}. `load()` asks for the data (one answer, or a
 * list), `draw(data, answers)` returns nodes; `rows(data)` are what CSV and the table are of. `tools` are inputs of its
 * own between title and chart.
 */
function panel(given) {
  const body = el("div", { class: "body", id: `${given.id}-body` });
  const code = el("div", { class: "code", id: `${given.id}-sql`, hidden: true });
  const button = (text, press, attributes) => el("button", { type: "button", class: "quiet", onclick: press, ...attributes }, text);
  const one = { ...given, body, code, answers: null, shown: "chart", stale: true, seen: false };
  const title = given.title;
  one.buttons = {
    table: one.rows && !one.isTable && button("Table", () => turn(one), { "aria-pressed": "false", "aria-label": `${title} as a table` }),
    sql: button("SQL", () => showSql(one), { "aria-expanded": "false", "aria-controls": code.id, "aria-label": `SQL of ${title}` }),
    csv: one.rows && button("CSV", () => saveCsv(one.rows(one.data), `journeyql-${one.id}`), { "aria-label": `${title} as CSV` }),
    png: button("PNG", () => picture(one), { "aria-label": `${title} as a picture` }),
  };
  one.section = el("section", { class: `panel ${given.wide ? "wide" : ""}`, id: given.id, "aria-labelledby": `${given.id}-title` },
    el("header", {},
      el("div", {}, el("h2", { id: `${given.id}-title` }, title), el("p", { class: "about" }, given.about)),
      el("div", { class: "tools", role: "group", "aria-label": `${title}: other forms` }, Object.values(one.buttons))),
    given.tools ? el("div", { class: "own-tools" }, given.tools) : null, code, body);
  body.append(waiting());
  panels.push(one);
  return one;
}

const waiting = () => el("div", { class: "waiting", "aria-label": "Loading" });

/** Asks and draws; while it asks, the old picture stays. */
async function refresh(one) {
  const turnOf = (one.turn = (one.turn ?? 0) + 1);
  one.stale = false;
  one.section.setAttribute("aria-busy", "true");
  try {
    const answers = await one.load();
    if (one.turn !== turnOf) return;
    one.answers = [answers].flat();
    one.data = Array.isArray(answers) ? answers.map((answer) => answer.data) : answers.data;
    paint(one);
  } catch (error) {
    if (one.turn !== turnOf) return;
    if (error.name === "AbortError") {
      one.stale = true;
      return;
    }
    one.answers = null;
    swap(one.body, refusal(error, () => refresh(one)));
  }
  for (const button of Object.values(one.buttons)) if (button) button.disabled = !one.answers;
  if (one.answers && !one.answers.some((answer) => answer.sql)) one.buttons.sql.disabled = true;
  one.section.removeAttribute("aria-busy");
  if (!one.code.hidden) fillSql(one);
}

function paint(one) {
  const content = one.shown === "table" ? rowsTable(one) : one.draw(one.data);
  swap(one.body, content);
  one.drawn?.();
}

function refusal(error, again) {
  if (!(error instanceof Refusal)) console.error(error);
  return el("div", { class: "empty refusal", role: "alert" },
    el("p", {}, el("strong", {}, label(error.message))), error.hint && el("p", {}, label(error.hint)),
    embedded ? null : el("button", { type: "button", onclick: again }, "Try again"));
}

/** All rows as they came, for those who do not see the chart, and for those who want to read numbers. */
function rowsTable(one) {
  const rows = one.rows(one.data);
  if (!rows.length) return empty("No rows");
  const number = (key) => rows.some((row) => typeof row[key] === "number");
  const columns = Object.keys(rows[0]).map((key) => ({
    key, head: key, num: number(key),
    text: (value) => (typeof value === "number" ? decimal(value) : value === null ? "–"
      : label(typeof value === "object" ? JSON.stringify(value) : value)),
  }));
  const shown = rows.slice(0, 500);
  return [el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${one.title}, rows` },
    table(shown, columns, one.title, { class: "raw" })),
  rows.length > shown.length && el("p", { class: "note" }, `${count(shown.length)} of ${count(rows.length)} rows; all are in the CSV.`)];
}

function turn(one) {
  one.shown = one.shown === "table" ? "chart" : "table";
  one.buttons.table.setAttribute("aria-pressed", String(one.shown === "table"));
  paint(one);
}

function showSql(one) {
  one.code.hidden = !one.code.hidden;
  one.buttons.sql.setAttribute("aria-expanded", String(!one.code.hidden));
  if (!one.code.hidden) fillSql(one);
}
function fillSql(one) {
  const texts = (one.answers ?? []).map((answer) => answer.sql).filter(Boolean);
  one.code.replaceChildren(...texts.map((text) => {
    const copy = el("button", {
      type: "button", class: "quiet", onclick: async () => {
        await copyText(text);
        copy.textContent = "Copied";
        say("SQL copied");
        setTimeout(() => { copy.textContent = "Copy"; }, 1500);
      },
    }, "Copy");
    return el("div", {}, copy, el("pre", { tabindex: "0", "aria-label": `SQL of ${one.title}` }, text));
  }));
}

async function picture(one) {
  try {
    await savePng(one.body, one.title, `journeyql-${one.id}`);
  } catch (error) {
    console.error(error);
    say("The picture could not be made");
  }
}

/** A choice as buttons side by side. */
function choice(text, options, current, choose) {
  return el("div", { class: "choice", role: "group", "aria-label": text }, options.map(([value, shown]) =>
    el("button", { type: "button", "aria-pressed": String(value === current), onclick: () => choose(value) }, shown)));
}
