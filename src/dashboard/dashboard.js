// The page: which panels there are, what each asks for, the filters above and the state of the data below them.
"use strict";

let stats = null;
let age = null;
const width = (one) => Math.max(280, Math.floor(one.body.clientWidth || one.section.clientWidth - 40));
const rowsOf = (data) => data;
/** A page of the river alone. */
const only = embedded?.only;

function build() {
  const flows = panel({
    id: "flows", wide: true, title: "Journeys", about: "Where sessions go, step by step. Exits and other steps are always drawn, so what flows in flows out.",
    load: () => ask("/api/flows", { positions: Number(state.positions) > 6 ? state.positions : null }),
    draw: (data) => drawSankey(data, { width: width(flows), positions: Number(state.positions ?? defaultPositions()), step: state.step, choose: (step) => setState({ step }) }),
    rows: (data) => data.links.map(({ position, from_step, to_step, sessions }) => ({ position, from_step, to_step, sessions })),
  });
  const positionsBox = el("div", { class: "own-tools" });
  flows.section.insertBefore(positionsBox, flows.code);
  const defaultPositions = () => (flows.body.clientWidth && flows.body.clientWidth < 620 ? 3 : 5);
  flows.drawn = () => {
    const most = Math.max(...flows.data.nodes.map((node) => node.position), 1);
    const now = String(Math.min(most, Number(state.positions ?? defaultPositions())));
    swap(positionsBox, choice("Positions", d3.range(2, Math.max(embedded ? most : 8, 2) + 1).map((n) => [String(n), String(n)]), now, (value) => setState({ positions: value })),
      el("span", { class: "note" }, "steps deep"));
  };
  if (only === "flows") return;

  const days = panel({
    id: "daily", wide: true, title: "Sessions a day", about: "By the day on which a session began, UTC.",
    load: () => ask("/api/daily"), draw: (data) => drawDays(data, width(days)), rows: rowsOf,
  });
  panel({
    id: "paths", title: "Top paths", about: "Whole sessions, from their first step to their last.",
    load: () => ask("/api/paths"), draw: drawPaths, rows: (data) => (state.step ? data.filter((row) => onPath(row, state.step)) : data),
  });
  panel({ id: "dwell", title: "Time on a step", about: "Until the next step. The last step of a session has none.", load: () => ask("/api/dwell"), draw: drawDwell, rows: rowsOf });
  panel({
    id: "dropoffs", wide: true, title: "Where people leave", about: "A session is lost on its last step, unless a journey may end there.",
    load: () => ask("/api/dropoffs"), draw: drawDropOffs, rows: rowsOf,
  });
  panel({
    id: "transitions", wide: true, title: "Transitions", about: "From a step to the next one: the share of all departures, exits included.",
    load: () => ask("/api/transitions"), draw: (data) => drawTransitions(data), rows: rowsOf,
  });
  buildFunnel();
  const retention = panel({
    id: "retention", wide: true, title: "Retention", about: "People by when they came first, and how many came back.",
    tools: embedded ? null : el("div", { id: "periods" }),
    load: () => ask("/api/retention", { period: state.period }), draw: drawRetention, rows: rowsOf,
  });
  retention.drawn = () => byId("periods") && swap(byId("periods"), choice("Period", [["day", "Days"], ["week", "Weeks"], ["month", "Months"]], state.period ?? "week", (value) => setState({ period: value === "week" ? null : value })));
  panel({
    id: "goals", wide: true, title: "Goals", about: "Who reaches them, how long it takes and how fast they go, by the week in which people came first.",
    load: () => Promise.all(["/api/goals", "/api/goals/time", "/api/goals/velocity"].map((path) => ask(path))), draw: drawGoals, rows: joinGoals,
  });
  buildReplay();
  panel({
    id: "health", wide: true, title: "Data", about: "Where it came from, and what must always hold.",
    load: () => Promise.all([ask("/api/sources", {}, false), ask("/api/invariants"), ask("/api/stats")]), draw: drawData, rows: ([sources]) => sources,
  });
}

function buildFunnel() {
  const tools = el("div", { class: "builder" });
  panel({
    id: "funnel", wide: true, title: "Funnel", about: "How many take these steps, in this order, within the time.", tools,
    load: async () => {
      const known = embedded ? [] : (await ask("/api/steps")).data;
      const steps = embedded ? [] : funnelSteps() ?? usualSteps(...(await Promise.all([ask("/api/transitions"), ask("/api/dropoffs")])).map((answer) => answer.data));
      swap(tools, funnelBuilder(steps, known, setState));
      if (!embedded && !steps.length) return { data: [], sql: null };
      return ask("/api/funnel", { step: steps, window: state.window, unit: state.unit, breakdown: state.breakdown });
    },
    draw: drawFunnel, rows: rowsOf,
  });
}

function buildReplay() {
  const tools = el("div", { class: "builder" });
  panel({
    id: "replay", wide: true, title: "One person", about: "The last sessions of a person, newest first.", tools,
    load: async () => {
      const journeys = (await ask("/api/journeys")).data;
      const usual = journeys.find((row) => !embedded || replayPath(row.user_id) in embedded)?.user_id;
      const person = state.replay ?? usual;
      swap(tools, replayTools(journeys, person, setState));
      if (!person) return { data: [], sql: null };
      return ask(replayPath(person), { last: state.last });
    },
    draw: drawReplay, rows: rowsOf,
  });
}

function drawData([sources, invariants]) {
  const failed = invariants.filter((row) => !row.ok);
  const rules = stats?.journeyql ?? {};
  return [
    el("dl", { class: "facts" }, fact("Rules that hold", `${count(invariants.length - failed.length)} of ${count(invariants.length)}`), fact("Session gap", state.gap ?? rules.session_gap), fact("Time zone", rules.time_zone ?? "UTC"),
      fact("Snapshot", rules.snapshot), fact("Made by", `journeyql ${rules.version ?? ""}`)),
    failed.length > 0 && scroll("Rules that do not hold", table(failed, [
      { key: "name", head: "Does not hold", wide: true }, { key: "expected", head: "Expected", num: true, text: decimal }, { key: "actual", head: "Found", num: true, text: decimal },
    ], "Rules that do not hold", { class: "failed" })),
    sources.length === 0 ? empty("Nothing was ingested yet", el("pre", {}, "journeyql ingest access.log")) : scroll("Sources", foldable(sources, 8, (shown) => table(shown, [
      { key: "name", head: "Source", wide: true, cell: (row) => name(row.name, 60) }, { key: "format", head: "Format" },
      ...["lines", "stored", "quarantined", "dropped", "duplicates"].map((key) => ({ key, head: key[0].toUpperCase() + key.slice(1), num: true, text: count })),
      { key: "updated", head: "Last read (UTC)", text: clock },
    ], "Sources: every line is accounted for"))),
  ].filter(Boolean);
}
const fact = (title, value) => el("div", {}, el("dt", {}, title), el("dd", {}, label(value ?? "–")));

/** The line above the charts: the whole in five numbers. */
function drawTiles() {
  const tiles = [["sessions", "Sessions", count], ["users", "People", count], ["events", "Events", count], ["median_duration_s", "Median session", duration], ["bounce_rate", "Bounce rate", percent]];
  const old = byId("tiles");
  const next = el("dl", { id: "tiles", class: "tiles", "aria-label": "The whole in numbers" }, tiles.map(([key, title, text]) =>
    el("div", {}, el("dt", {}, title), el("dd", { "data-key": key, "data-value": stats[key] }, text(stats[key])))));
  old ? old.replaceWith(next) : byId("main").prepend(next);
}

function drawStatus() {
  const rules = stats.journeyql ?? {};
  const fresh = embedded ? `Report of ${clock(rules.refreshed_at)} UTC` : age === null ? "Live" : age < 1 ? "Computed just now" : `Computed ${duration(age)} ago`;
  const item = (text, kind, title) => el("span", { class: kind, title }, text);
  byId("status").replaceChildren(
    item(fresh, "fresh", `snapshot ${rules.snapshot ?? stats.snapshot}, computed ${clock(rules.refreshed_at)} UTC`),
    item(rules.first_day ? `Data from ${day(rules.first_day)} to ${day(rules.last_day)}` : "No data yet", ""),
    item(`Time zone ${rules.time_zone ?? "UTC"}`, ""),
    item(`${count(rules.quarantined ?? 0)} ${rules.quarantined === 1 ? "line" : "lines"} in quarantine`, rules.quarantined ? "warn" : "", "journeyql quarantine list"),
    item(...rulesHold(rules)));
}

/** What is said of the invariants, how it looks, and what it means. */
function rulesHold({ failed_invariants: failed, refreshes }) {
  if (failed?.length) return [`${failed.length} ${failed.length === 1 ? "rule does" : "rules do"} not hold: ${failed.map(label).join("; ")}`, "bad"];
  if (failed) return ["All rules hold", "good", "what must always hold of these figures does"];
  if (refreshes) return ["Rules could not be checked", "bad", "SELECT * FROM invariants says why"];
  return ["Rules not checked yet", "warn", "what must always hold of these figures was not looked at yet"];
}

const GAPS = ["5 minutes", "10 minutes", "20 minutes", "30 minutes", "45 minutes", "1 hour", "2 hours", "4 hours"];

/** The filters of a server's page are made once, and again when their choices change: nobody loses what they type. */
function drawFilters() {
  const rules = stats?.journeyql ?? {};
  const form = byId("filters");
  if (embedded) {
    swap(form, reportFilters(rules));
    return;
  }
  const choices = JSON.stringify([rules.first_day, rules.last_day, rules.segments, rules.session_gap, state.segment, state.gap]);
  if (form.dataset.choices !== choices) {
    form.dataset.choices = choices;
    swap(form, serverFilters(rules));
  }
  for (const key of ["from", "to"]) {
    const input = byId(`filter-${key}`);
    if (input !== document.activeElement) input.value = state[key] ?? "";
  }
  swap(byId("ranges"), ranges(rules));
}

function reportFilters(rules) {
  const given = embedded.filters ?? {};
  const words = [given.from || given.to ? `Sessions from ${given.from ? label(given.from) : "the first"} ${given.to ? `to before ${label(given.to)}` : "on"}` : "All days",
    given.segment ? `Segment ${label(given.segment)}` : "All people", `Session gap ${label(given.gap ?? rules.session_gap ?? "as configured")}`];
  return [el("p", { class: "fixed" }, words.map((word) => el("span", {}, word))),
    el("p", { class: "note" }, "A report is a picture of its data. Other days, people and gaps: ", el("code", {}, "journeyql serve"), ".")];
}

function serverFilters(rules) {
  // While a year is typed, its first digits are a year too.
  const given = (value) => value === "" || value >= "1970";
  const date = (key, text) => el("label", {}, text, el("input", {
    id: `filter-${key}`, type: "date", min: rules.first_day, max: rules.last_day,
    onchange: (event) => { if (given(event.target.value)) setState({ [key]: event.target.value }); },
  }));
  const select = (key, text, options) => el("label", {}, text, el("select", { onchange: (event) => setState({ [key]: event.target.value }) },
    options.map(([value, shown]) => el("option", { value, selected: value === (state[key] ?? "") }, shown))));
  const segments = [...new Set([...(rules.segments ?? []), ...(state.segment ? [state.segment] : [])])];
  const gaps = [...new Set([...GAPS, ...(state.gap ? [state.gap] : [])])].filter((gap) => gap !== rules.session_gap);
  return [date("from", "From"), date("to", "To"), el("div", { id: "ranges" }),
    select("segment", "Segment", [["", "All people"], ...segments.map((one) => [one, label(one)])]),
    select("gap", "Session gap", [["", `${rules.session_gap ?? "as configured"} (usual)`], ...gaps.map((gap) => [gap, gap])])];
}

/** Ranges that end on the last day of the data. */
function ranges(rules) {
  if (!rules.last_day) return null;
  const before = (days) => { const date = new Date(`${rules.last_day}T00:00:00Z`); date.setUTCDate(date.getUTCDate() - days + 1); return date.toISOString().slice(0, 10); };
  const now = !state.from && !state.to ? "" : state.to === rules.last_day ? state.from : null;
  return choice("Range", [["", "All"], [before(7), "Last 7 days"], [before(28), "Last 28 days"]], now,
    (from) => setState(from ? { from, to: rules.last_day } : { from: null, to: null }));
}

function drawChips() {
  const chip = (key, text) => state[key] && el("button", { type: "button", class: "chip", onclick: () => setState({ [key]: null }) }, el("bdi", {}, `${text} ${cut(state[key], 60)}`), el("span", { "aria-hidden": "true" }, " ×"), el("span", { class: "unseen" }, " take this filter off"));
  swap(byId("chips"), chip("step", "Step"), !embedded && chip("user", "Person"));
}

async function loadStats() {
  const answer = await ask("/api/stats");
  stats = answer.data;
  age = stats.journeyql?.age_s ?? answer.age;
  const rules = stats.journeyql ?? {};
  byId("subtitle").textContent = embedded?.title ? label(embedded.title) : rules.first_day ? `${day(rules.first_day)} – ${day(rules.last_day)}` : "";
  drawTiles();
  drawStatus();
  drawFilters();
  if (!stats.sessions) say("No sessions in this range");
}

const inSight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const one = panels.find((candidate) => candidate.section === entry.target);
    one.seen = entry.isIntersecting;
    if (one.seen && one.stale) refresh(one);
  }
}, { rootMargin: "600px" });

/** Every panel is out of date; those in sight are asked for now, the others when they come into sight. */
async function refreshAll() {
  byId("tiles")?.setAttribute("aria-busy", "true");
  // First in line.
  const told = loadStats();
  for (const one of panels) {
    one.stale = true;
    if (one.seen || embedded) refresh(one);
  }
  try {
    await told;
  } catch (error) {
    if (error.name === "AbortError") return;
    const old = byId("tiles");
    const remark = el("div", { id: "tiles" }, refusal(error, refreshAll));
    old ? old.replaceWith(remark) : byId("main").prepend(remark);
  }
}

const LOCAL = new Set(["step", "positions"]);
let before = {};
function moved() {
  readState();
  const changed = KEYS.filter((key) => before[key] !== state[key]);
  before = { ...state };
  drawChips();
  // A report has the sessions that it has: there a step is a mark in them.
  if (changed.some((key) => ["from", "to", "segment", "gap", "user", ...(embedded ? [] : ["step"])].includes(key))) {
    stopAsking();
    refreshAll();
    return;
  }
  const touched = { step: null, positions: ["flows"], steps: ["funnel"], window: ["funnel"], unit: ["funnel"], breakdown: ["funnel"], replay: ["replay"], last: ["replay"], period: ["retention"] };
  for (const key of changed) {
    for (const one of panels) {
      if (!one.answers && touched[key]?.includes(one.id)) refresh(one);
      else if (one.answers && (key === "step" || touched[key]?.includes(one.id))) LOCAL.has(key) && embedded || key === "step" ? paint(one) : refresh(one);
    }
  }
}

/** Asks now and then whether the data moved on. */
async function watch() {
  const wait = Math.max(2, stats?.journeyql?.refresh_s ?? 10) * 1000;
  setTimeout(async () => {
    try {
      if (!document.hidden) {
        const snapshot = stats?.journeyql?.snapshot;
        for (const url of kept.keys()) if (url.startsWith("/api/stats")) kept.delete(url);
        await loadStats();
        if (stats.journeyql?.snapshot !== snapshot) {
          forget();
          await refreshAll();
          say("New data");
        }
      }
      byId("status").classList.remove("lost");
    } catch (error) {
      byId("status").classList.add("lost");
      byId("status").firstElementChild?.replaceChildren(label(error.message));
    }
    watch();
  }, wait);
}

const THEMES = { "": ["◐", "as the system has them"], light: ["☀", "light"], dark: ["☾", "dark"] };
function applyTheme(theme) {
  const [sign, words] = pick(THEMES, theme, THEMES[""]);
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  byId("theme").textContent = sign;
  byId("theme").setAttribute("aria-label", `Colours: ${words}`);
  byId("theme").title = `Colours: ${words}`;
}
function chooseTheme() {
  const order = Object.keys(THEMES);
  const next = order[(order.indexOf(document.documentElement.dataset.theme ?? "") + 1) % order.length];
  applyTheme(next);
  // A browser may refuse to remember; then it is the system's choice next time.
  try { localStorage.setItem("journeyql-theme", next); } catch { /* nothing is lost */ }
}

function start() {
  let theme = "";
  try { theme = localStorage.getItem("journeyql-theme") ?? ""; } catch { /* as the system has it */ }
  applyTheme(theme);
  byId("theme").addEventListener("click", chooseTheme);
  byId("skip").addEventListener("click", (event) => { event.preventDefault(); byId("main").focus(); });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hide(); });
  readState();
  before = { ...state };
  build();
  byId("main").append(...panels.map((one) => one.section));
  for (const one of panels) inSight.observe(one.section);
  addEventListener("state", moved);
  addEventListener("popstate", moved);
  addEventListener("hashchange", moved);
  let drawn = innerWidth;
  addEventListener("resize", () => {
    if (drawn === innerWidth) return;
    drawn = innerWidth;
    for (const one of panels) if (one.answers && ["flows", "daily"].includes(one.id) && one.shown === "chart") paint(one);
  });
  addEventListener("beforeprint", () => { for (const one of panels) if (one.stale) refresh(one); });
  drawChips();
  drawFilters();
  refreshAll().then(() => { if (!embedded) watch(); });
}
start();
