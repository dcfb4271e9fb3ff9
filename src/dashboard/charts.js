// Charts that are tables at heart: drop-offs, paths, transitions, dwell, retention, goals, and the days as bars.
"use strict";

const noSessions = () => empty("No sessions here",
  el("p", {}, "Nobody has a session in this range. Widen the dates, or take the filters off."));
const scroll = (title, ...content) =>
  el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, content);

/** A step that filters the page when it is pressed. */
const stepButton = (step, most) => el("button", {
  type: "button", class: "step", "aria-pressed": String(state.step === step), title: label(step),
  onclick: () => setState({ step: state.step === step ? null : step }),
}, el("bdi", {}, most ? cut(step, most) : label(step)));

/** A list whose tail waits behind a button. */
function foldable(rows, few, draw) {
  const box = el("div", {});
  const show = (all) => swap(box, draw(all ? rows : rows.slice(0, few)),
    rows.length > few && el("button", { type: "button", class: "quiet more", onclick: () => show(!all) },
      all ? `Show the first ${few}` : `Show all ${count(rows.length)}`));
  show(false);
  return box;
}

function drawDropOffs(rows) {
  if (!rows.length) return noSessions();
  const worst = Math.max(...rows.map((row) => row.drop_offs), 1);
  const rate = (key) => ({ key, num: true, text: percent, heat: (row) => row[key] });
  return scroll("Where people leave", foldable(rows, 12, (shown) => table(shown, [
    { key: "page", head: "Step", wide: true, cell: (row) => stepButton(row.page, 44) },
    { key: "sessions", head: "Sessions", num: true, text: count, hint: "sessions that came here" },
    { key: "entries", head: "Entries", num: true, text: count, hint: "sessions that began here" },
    { key: "drop_offs", head: "Lost", num: true, text: count, bar: (row) => row.drop_offs / worst, hint: "sessions that ended here, where they should not" },
    { ...rate("drop_off_rate"), head: "Drop-off", hint: "lost / sessions that came here" },
    { ...rate("exit_rate"), head: "Exit", hint: "sessions that ended here / sessions that came here" },
    { ...rate("bounce_rate"), head: "Bounce", hint: "sessions with no other step / sessions that began here" },
  ], "Where people leave, by step", { mark: (row) => row.page === state.step })));
}

const onPath = (row, step) => row.path.split(" > ").includes(step);

function drawPaths(rows) {
  if (!rows.length) return noSessions();
  const kept = state.step ? rows.filter((row) => onPath(row, state.step)) : rows;
  if (!kept.length) return empty(`None of the top ${count(rows.length)} paths has this step`);
  const most = Math.max(...kept.map((row) => row.sessions));
  const words = (row) => el("bdi", { class: "path", title: label(row.path) }, cut(row.path, 160), row.truncated ? " …" : "");
  return [scroll("Top paths", foldable(kept, 10, (shown) => table(shown, [
    { key: "path", head: "Path", wide: true, cell: words },
    { key: "sessions", head: "Sessions", num: true, text: count, bar: (row) => row.sessions / most },
    { key: "share", head: "Share", num: true, text: percent },
    { key: "median_duration_s", head: "Time", num: true, text: duration, hint: "median of these sessions" },
  ], "The most walked paths"))),
  state.step && el("p", { class: "note" }, `Of the top ${count(rows.length)} paths, the ${count(kept.length)} with this step.`)];
}

/** From each of the busiest steps to each: START and EXIT are always there. */
function drawTransitions(rows, size = 12) {
  if (!rows.length) return noSessions();
  const sums = new Map();
  for (const row of rows) sums.set(row.from_step, (sums.get(row.from_step) ?? 0) + row.transitions);
  const steps = [...sums].filter(([step]) => step !== "START").sort((a, b) => b[1] - a[1]).map(([step]) => step).slice(0, size);
  if (state.step && sums.has(state.step) && !steps.includes(state.step)) steps.push(state.step);
  const cells = new Map(rows.map((row) => [`${row.from_step}\n${row.to_step}`, row]));
  const to = [...steps.filter((step) => step !== "EXIT"), "EXIT"];
  const head = el("tr", {}, el("th", { scope: "col" }, "From ↓ to →"),
    to.map((step, at) => el("th", { scope: "col", class: "upright", title: label(step) }, el("span", {}, el("bdi", {}, cut(at === to.length - 1 ? "Exit" : step, 22))))));
  const body = ["START", ...steps].map((from) => el("tr", { class: from === state.step ? "marked" : null },
    el("th", { scope: "row" }, from === "START" ? el("span", { class: "fixed" }, "Start") : stepButton(from, 26)),
    to.map((step) => matrixCell(cells.get(`${from}\n${step}`), step))));
  const hidden = sums.size - (sums.has("START") ? 1 : 0) - steps.length;
  return [scroll("Transitions", el("table", { class: "matrix" }, el("caption", { class: "unseen" }, "From each step to the next: share of all departures"),
    el("thead", {}, head), el("tbody", {}, body))),
  hidden > 0 && el("p", { class: "note" }, `The ${count(steps.length)} busiest of ${count(steps.length + hidden)} steps; Table and CSV have all moves that were loaded.`)];
}

function matrixCell(row, step) {
  if (!row) return el("td", { class: "num none" }, "·");
  const node = el("td", {
    class: `num heat${step === "EXIT" ? " exit" : ""}`, "data-value": row.transitions, "data-key": `${row.from_step}\n${row.to_step}`,
    style: { "--heat": `${(row.probability * 100).toFixed(1)}%` },
  }, row.probability < 0.005 ? "<1%" : `${Math.round(row.probability * 100)}%`);
  return tip.on(node, () => [`${label(row.from_step)} → ${label(row.to_step)}`, `${count(row.transitions)} moves in ${count(row.sessions)} sessions`,
    `${percent(row.probability)} of all departures`, ...(row.median_s === null ? [] : [`after ${duration(row.median_s)} (median)`])]);
}

/** How long people stay: half of all stays lie in the bar, the line is the median. */
function drawDwell(rows) {
  const known = rows.filter((row) => row.n > 0 && row.median_s !== null);
  if (!known.length) return empty("No dwell times", el("p", {}, "The last step of a session has none, and no session here has two steps."));
  const longest = Math.max(...known.map((row) => row.p90_s), 1);
  const at = (seconds) => `${((Math.sqrt(Math.max(0, seconds)) / Math.sqrt(longest)) * 100).toFixed(2)}%`;
  const range = (row) => tip.on(el("div", { class: "range", style: { "--from": at(row.p25_s), "--to": at(row.p75_s), "--median": at(row.median_s), "--end": at(row.p90_s) } },
    el("i", { class: "tail" }), el("i", { class: "box" }), el("i", { class: "middle" })),
  () => [label(row.page), `median ${duration(row.median_s)}, mean ${duration(row.mean_s)}`, `a quarter below ${duration(row.p25_s)}, a quarter above ${duration(row.p75_s)}`,
    `one in ten above ${duration(row.p90_s)}`, `${count(row.n)} stays; ${count(row.unknown)} unknown, since the session ended there`]);
  return scroll("Dwell", foldable(known, 10, (shown) => table(shown, [
    { key: "page", head: "Step", wide: true, cell: (row) => stepButton(row.page, 34) },
    { key: "median_s", head: "Median", num: true, text: duration },
    { key: "n", head: "Stays", num: true, text: count, hint: "how often it is known how long somebody stayed" },
    { key: "p25_s", head: "Half of the stays", cell: range, hint: "from a quarter to three quarters, the median, and to nine of ten; square root scale" },
  ], "How long people stay on a step")));
}

function drawRetention(rows) {
  if (!rows.length) return empty("No cohorts", el("p", {}, "Nobody came first in this range."));
  const cohorts = [...d3.group(rows, (row) => row.cohort)].reverse();
  const periods = [...new Set(rows.map((row) => row.period))].sort((a, b) => a - b);
  const periodName = pick({ day: "Day", week: "Week", month: "Month" }, state.period, "Week");
  const head = el("tr", {}, el("th", { scope: "col" }, "First came"), el("th", { scope: "col", class: "num" }, "People"),
    periods.map((period) => el("th", { scope: "col", class: "num" }, `${periodName} ${period}`)));
  const body = (shown) => shown.map(([cohort, group]) => el("tr", {}, el("th", { scope: "row" }, day(cohort)),
    el("td", { class: "num", "data-key": "people", "data-value": group[0].people }, count(group[0].people)),
    periods.map((period) => retentionCell(group.find((row) => row.period === period)))));
  return [scroll("Retention", foldable(cohorts, 12, (shown) => el("table", { class: "matrix" },
    el("caption", { class: "unseen" }, "Share of a cohort that came back, the latest cohort first"), el("thead", {}, head.cloneNode(true)), el("tbody", {}, body(shown))))),
  rows.some((row) => !row.complete) && el("p", { class: "note" }, "Italic: the period is not over yet; people so far.")];
}
function retentionCell(row) {
  if (!row) return el("td", { class: "none" });
  const node = el("td", {
    class: `num ${row.complete ? "heat kept" : "open"}`, "data-key": `${row.cohort}/${row.period}`, "data-value": row.users,
    style: row.complete ? { "--heat": `${(row.rate * 100).toFixed(1)}%` } : null,
  }, row.complete ? percent(row.rate) : count(row.users));
  return tip.on(node, () => [`Came first ${day(row.cohort)}, period ${row.period}`, `${count(row.users)} of ${count(row.people)} people`,
    row.complete ? percent(row.rate) : "not over yet"]);
}

/** Completion, time and velocity of each goal, by the week in which people came first. */
function joinGoals([completion, time, velocity]) {
  const key = (row) => `${row.goal}\n${row.cohort}`;
  const [times, speeds] = [time, velocity].map((rows) => new Map(rows.map((row) => [key(row), row])));
  return completion.map((row) => ({ ...row, median_s: times.get(key(row))?.median_s ?? null, p90_s: times.get(key(row))?.p90_s ?? null,
    median_steps_per_hour: speeds.get(key(row))?.median_steps_per_hour ?? null, median_steps: speeds.get(key(row))?.median_steps ?? null }));
}
function drawGoals(data) {
  const rows = joinGoals(data);
  if (!rows.length) {
    return empty("No goals are set", el("p", {}, "A goal is a condition over steps. Write it into journeyql.toml, in the store's folder:"),
      el("pre", {}, "[journey]\ngoals = { purchase = \"page = '/thanks'\" }"));
  }
  return [...d3.group(rows, (row) => row.goal)].map(([goal, group]) => {
    const [reached, users] = [d3.sum(group, (row) => row.reached), d3.sum(group, (row) => row.users)];
    return el("div", { class: "goal" },
      el("h3", {}, name(goal), el("span", { class: "figure", "data-key": "reached", "data-value": reached }, percent(users ? reached / users : 0)),
        el("span", { class: "aside" }, `${count(reached)} of ${count(users)} people`)),
      scroll(`Goal ${label(goal)}`, table(group, [
        { key: "cohort", head: "First came", text: day },
        { key: "users", head: "People", num: true, text: count },
        { key: "reached", head: "Reached it", num: true, text: count },
        { key: "completion_rate", head: "Completion", num: true, text: percent, bar: (row) => row.completion_rate },
        { key: "median_s", head: "Median time", num: true, text: duration, hint: "from the first session ever to the goal" },
        { key: "p90_s", head: "90%", num: true, text: duration },
        { key: "median_steps_per_hour", head: "Steps / h", num: true, text: decimal, hint: "velocity: the median of steps an hour towards the goal" },
      ], `Goal ${label(goal)} by the week in which people came first`)));
  });
}

/** All days from the first to the last: one without a session has a place too. */
function everyDay(rows) {
  const at = (text) => Date.parse(`${text.slice(0, 10)}T00:00:00Z`) / 86_400_000;
  const known = new Map(rows.map((row) => [at(row.day), row]));
  return d3.range(d3.min(known.keys()), d3.max(known.keys()) + 1).map((number) => known.get(number)
    ?? { day: new Date(number * 86_400_000).toISOString().slice(0, 10), sessions: 0, users: 0, events: 0 });
}

/** Sessions a day, as bars. */
function drawDays(given, width) {
  if (!given.length) return noSessions();
  const rows = everyDay(given);
  const [height, foot] = [150, 22];
  const top = Math.max(...rows.map((row) => row.sessions), 1);
  const ticks = d3.ticks(0, top, 3).filter(Number.isInteger);
  const gutter = 12 + 7 * count(ticks.at(-1)).length;
  const step = (width - gutter) / rows.length;
  const y = (value) => 8 + (height - foot - 8) * (1 - value / top);
  const chart = svg("svg", { class: "chart days", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `Sessions a day, ${rows.length} days, at most ${count(top)}` });
  for (const tick of ticks) {
    chart.append(svg("line", { class: "grid", x1: gutter, x2: width, y1: y(tick), y2: y(tick) }),
      svg("text", { class: "tick", x: gutter - 6, y: y(tick), dy: "0.32em", "text-anchor": "end" }, count(tick)));
  }
  const every = Math.max(1, Math.ceil(86 / step));
  rows.forEach((row, at) => {
    const x = gutter + at * step;
    chart.append(tip.on(svg("rect", { class: "day", x: x + Math.min(2, step * 0.12), width: Math.max(0.5, step - Math.min(4, step * 0.24)), y: y(row.sessions), height: y(0) - y(row.sessions), rx: step > 8 ? 2 : 0, "data-value": row.sessions }),
      () => [day(row.day), `${count(row.sessions)} sessions`, `${count(row.users)} people`, `${count(row.events)} events`]));
    if (at % every === 0 && x + 70 < width) chart.append(svg("text", { class: "tick", x: x + 2, y: height - 6 }, day(row.day)));
  });
  return chart;
}
