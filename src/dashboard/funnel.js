// The funnel: bars, and the builder of its steps.
"use strict";

const WINDOWS = ["30 minutes", "1 hour", "1 day", "7 days", "30 days", "90 days"];
const BREAKDOWNS = [["", "no breakdown"], ...["user_agent", "referrer", "status", "method", "page", "event", "step", "source_session_id"]
  .map((key) => [key, key.replaceAll("_", " ")])];

/** The steps in the address, one a line's end apart: labels may hold commas. */
const funnelSteps = () => (state.steps ? state.steps.split("\n") : null);

/** Where nobody chose: backwards from where most journeys come to a good end, else forwards from where most begin. */
function usualSteps(moves, pages) {
  const goal = pages.filter((row) => row.terminal_exits > 0).sort((a, b) => b.terminal_exits - a.terminal_exits)[0]?.page;
  const [near, far] = goal === undefined ? ["from_step", "to_step"] : ["to_step", "from_step"];
  const steps = goal === undefined ? [] : [goal];
  while (steps.length < 5) {
    const ways = moves.filter((row) => row[near] === (steps.at(-1) ?? "START") && !steps.includes(row[far]) && row[far] !== null);
    const best = ways[d3.maxIndex(ways, (row) => row.transitions)]?.[far];
    if (best === undefined || best === "START" || best === "EXIT") break;
    steps.push(best);
  }
  return goal === undefined ? steps : steps.reverse();
}

function drawFunnel(rows) {
  if (!rows.length) return noSessions();
  const groups = [...d3.group(rows, (row) => ("breakdown" in row ? row.breakdown : undefined))];
  const most = Math.max(...rows.map((row) => row.units), 1);
  const unit = pick({ session: "sessions", attempt: "attempts" }, state.unit, "people");
  const shown = groups.sort((a, b) => b[1][0].units - a[1][0].units).slice(0, 8);
  const warnings = [...new Set(rows.map((row) => row.warning).filter(Boolean))];
  return [shown.map(([value, group]) => el("div", { class: "funnel" },
    value !== undefined && el("h3", {}, name(value, 80)), group.map((row) => funnelRow(row, most, unit)))),
  groups.length > shown.length && el("p", { class: "note" }, `The ${shown.length} largest of ${count(groups.length)} groups; Table and CSV have all.`),
  warnings.map((text) => el("p", { class: "note warning" }, label(text)))];
}

function funnelRow(row, most, unit) {
  const first = row.step_no === 1;
  const bar = el("div", { class: "bar", style: { "--bar": `${((row.units / most) * 100).toFixed(2)}%` }, "data-key": "units", "data-value": row.units },
    el("strong", {}, count(row.units)), ` ${unit}`);
  tip.on(bar, () => [label(row.step), `${count(row.units)} ${unit}`, `${percent(row.conversion_first)} of all who began (95%: ${percent(row.lo)} to ${percent(row.hi)})`,
    ...(first ? [] : [`${percent(row.conversion_prev)} of the step before`]), ...(row.in_progress ? [`${count(row.in_progress)} may still go on`] : [])]);
  return el("div", { class: "stage" },
    el("div", { class: "words" }, el("span", { class: "no" }, row.step_no), name(row.step, 60)), bar,
    el("div", { class: "rates" }, el("strong", {}, percent(row.conversion_first)),
      first ? "" : el("span", { class: "lost" }, `−${count(row.drop_off)} (${percent(row.drop_off_rate)})`),
      row.ttc_median_s === null ? "" : el("span", { class: "aside" }, `${duration(row.ttc_median_s)} median`)));
}

/** The builder: steps with their order, the window, what is counted, by what it is broken down. */
function funnelBuilder(steps, known, change) {
  if (embedded) return [el("p", { class: "note" }, "This report holds this one funnel. Other steps: ", el("code", {}, "journeyql serve"), " or ", el("code", {}, "report --steps /a,/b"), ".")];
  const list = el("datalist", { id: "labels" }, known.map((row) => el("option", { value: row.page, label: `${count(row.sessions)} sessions` })));
  const put = (next) => change({ steps: next.join("\n") });
  const swap = (at, by) => { const next = [...steps]; [next[at], next[at + by]] = [next[at + by], next[at]]; put(next); };
  const field = (value, at) => el("input", {
    value, list: "labels", "aria-label": at === steps.length ? "Add a step" : `Step ${at + 1}`, placeholder: "add a step…", size: Math.min(28, Math.max(12, value.length + 2)),
    onchange: (event) => put([...steps.slice(0, at), ...(event.target.value ? [event.target.value] : []), ...steps.slice(at + 1)]),
  });
  const icon = (sign, text, press, off) => el("button", { type: "button", class: "icon", "aria-label": text, title: text, disabled: off, onclick: press }, sign);
  const items = steps.map((step, at) => el("li", {}, field(step, at),
    icon("↑", `Step ${at + 1} earlier`, () => swap(at, -1), at === 0), icon("↓", `Step ${at + 1} later`, () => swap(at, 1), at === steps.length - 1),
    icon("×", `Take step ${at + 1} out`, () => put(steps.filter((_, other) => other !== at)), steps.length < 2)));
  const select = (text, options, value, press) => el("label", {}, text, el("select", { onchange: (event) => press(event.target.value) },
    options.map(([key, shown]) => el("option", { value: key, selected: key === value }, shown))));
  const window = state.window ?? "7 days";
  return [list, el("ol", { class: "steps", "aria-label": "Steps of the funnel" }, items, el("li", {}, field("", steps.length))),
    el("div", { class: "row" },
      select("Within", [...new Set([...WINDOWS, window])].map((text) => [text, text]), window, (value) => change({ window: value === "7 days" ? null : value })),
      select("Counting", [["user", "people"], ["session", "sessions"], ["attempt", "attempts"]], state.unit ?? "user", (value) => change({ unit: value === "user" ? null : value })),
      select("By", BREAKDOWNS, state.breakdown ?? "", (value) => change({ breakdown: value })))];
}
