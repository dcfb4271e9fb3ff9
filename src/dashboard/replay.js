// What one person did: their last sessions, each on a line of time.
"use strict";

function drawReplay(rows) {
  if (!rows.length) return empty("No sessions of this person in this range");
  return [...d3.group(rows, (row) => row.session_id)].reverse().map(([, steps]) => sessionCard(steps));
}

function sessionCard(steps) {
  const [first, last] = [steps[0], steps.at(-1)];
  const begin = Date.parse(first.session_start ?? first.ts);
  const length = Date.parse(last.ts) - begin;
  const at = (row) => (Date.parse(row.ts) - begin) / 1000;
  return el("article", { class: "visit" },
    el("h3", {}, `Session ${first.session_index}`, el("span", { class: "aside" }, `${clock(first.session_start)} UTC · ${count(steps.length)} ${steps.length === 1 ? "step" : "steps"} · ${duration(length / 1000)}`)),
    length > 0 && el("div", { class: "timeline", "aria-hidden": "true" }, steps.map((row) => tip.on(
      el("i", { style: { left: `${((at(row) * 1000) / length) * 100}%` } }), () => [label(row.step), `after ${duration(at(row))}`, ...(row.dwell_s === null ? [] : [`stayed ${duration(row.dwell_s)}`])]))),
    el("ol", { class: "walk" }, steps.map((row) => el("li", { "data-key": "step", "data-value": row.step },
      el("span", { class: "when" }, `+${duration(at(row))}`), name(row.step, 70),
      row.status >= 400 && el("span", { class: "bad" }, row.status),
      row.dwell_s !== null && el("span", { class: "aside" }, duration(row.dwell_s))))));
}

/** Who, and how many sessions; the newest sessions are the list to pick from. */
function replayTools(journeys, person, change) {
  const people = [...new Set(journeys.map((row) => row.user_id))];
  const offered = embedded ? people.filter((id) => replayPath(id) in embedded) : people;
  const input = embedded
    ? el("select", { onchange: (event) => change({ replay: event.target.value }) }, offered.map((id) => el("option", { value: id, selected: id === person }, cut(id, 60))))
    : el("input", { value: person ?? "", list: "people", size: 28, placeholder: "a person's id", onchange: (event) => change({ replay: event.target.value }) });
  return [el("datalist", { id: "people" }, people.map((id) => el("option", { value: id }))),
    el("div", { class: "row" }, el("label", {}, "Person", input),
      embedded ? el("p", { class: "note" }, "The people of the newest sessions. Anybody else: ", el("code", {}, "journeyql serve"), " or ", el("code", {}, "journeyql trace ID"), ".")
        : [el("label", {}, "Last", el("select", { onchange: (event) => change({ last: event.target.value === "5" ? null : event.target.value }) },
          ["1", "5", "10", "25"].map((n) => el("option", { value: n, selected: n === (state.last ?? "5") }, `${n} ${n === "1" ? "session" : "sessions"}`)))),
        person && state.user !== person && el("button", { type: "button", onclick: () => change({ user: person }) }, "All charts for this person")])];
}
const replayPath = (person) => `/api/user/${embedded ? person : encodeURIComponent(person)}/replay`;
