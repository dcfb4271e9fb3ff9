// Where the numbers come from, and what is asked: the page's state is the fragment of its address, so that a link shows
// what its sender saw; the data is embedded (a report) or fetched (a server).
"use strict";

const KEYS = ["from", "to", "segment", "gap", "user", "step", "positions", "paths", "steps", "window", "unit", "breakdown",
  "replay", "last", "period"];

const state = {};

function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const key of KEYS) {
    if (given.has(key)) state[key] = given.get(key);
    else delete state[key];
  }
}

/** Changes some of the state; nothing means: as usual. One change is one step back in the browser's history. */
function setState(change) {
  for (const [key, value] of Object.entries(change)) {
    if (value === null || value === undefined || value === "") delete state[key];
    else state[key] = String(value);
  }
  const words = new URLSearchParams(KEYS.filter((key) => key in state).map((key) => [key, state[key]]));
  const hash = words.size ? `#${words}` : "";
  if (hash === location.hash) return;
  history.pushState(null, "", hash || `${location.pathname}${location.search}`);
  dispatchEvent(new Event("state"));
}

const embedded = (() => {
  const data = byId("data");
  return data ? JSON.parse(data.textContent) : null;
})();

/** The day after, since an API's range ends before its `to`. */
function dayAfter(text) {
  const date = new Date(`${text}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  return Number.isNaN(date.getTime()) ? text : date.toISOString().slice(0, 10);
}

/** What all charts share. */
function globalFilters() {
  const filters = {};
  if (state.from) filters.from = state.from;
  if (state.to) filters.to = dayAfter(state.to);
  for (const key of ["segment", "gap", "user"]) if (state[key]) filters[key] = state[key];
  if (state.step) filters.with_step = state.step;
  return filters;
}

/** An answer: its data, the SQL that gives the same, its age in seconds. */
class Refusal extends Error {
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

const kept = new Map();
const unfinished = new Set();

async function ask(path, parameters = {}, filtered = true) {
  if (embedded) {
    if (!(path in embedded)) throw new Refusal("This is not in the report.", "journeyql serve has it.");
    return { data: embedded[path], sql: embedded.sql?.[path] ?? null, age: null };
  }
  const words = new URLSearchParams(filtered ? globalFilters() : {});
  for (const [key, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") words.append(key, one);
  }
  const url = words.size ? `${path}?${words}` : path;
  if (!kept.has(url)) {
    const answer = request(url);
    kept.set(url, answer);
    unfinished.add(url);
    answer.then(() => unfinished.delete(url), () => {
      // What failed is asked again next time.
      if (kept.get(url) === answer) kept.delete(url);
    });
  }
  return kept.get(url);
}

// A server answers few queries at a time, and others ask too: so many are under way, the rest waits in line.
const line = { most: 3, under: 0, waiting: [] };
/** Ends the questions that are under way. */
let asking = new AbortController();
function stopAsking() {
  for (const url of unfinished) kept.delete(url);
  unfinished.clear();
  asking.abort();
  asking = new AbortController();
}

async function request(url) {
  const { signal } = asking;
  if (line.under >= line.most) await new Promise((go) => line.waiting.push(go));
  line.under += 1;
  try {
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      const response = await fetched(url, signal);
      if (![429, 503].includes(response.status) || attempt === 4) return await read(response);
      await new Promise((go) => setTimeout(go, 500 * 2 ** attempt));
    }
  } finally {
    line.under -= 1;
    line.waiting.shift()?.();
  }
}

async function fetched(url, signal) {
  try {
    return await fetch(url, { headers: { accept: "application/json" }, credentials: "same-origin", signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refusal("The server does not answer.", "Is journeyql serve still running?");
  }
}

async function read(response) {
  const text = await response.text();
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw new Refusal(`The server answered ${response.status} without data.`);
  }
  if (!response.ok) {
    const error = data.error ?? {};
    throw new Refusal(error.message ?? `The server answered ${response.status}.`, error.hint);
  }
  const sql = response.headers.get("x-journeyql-sql");
  return { data, sql: sql && decodeURIComponent(sql), age: Number(response.headers.get("x-journeyql-age-s") ?? 0) };
}

/** Forgets all answers, since the data moved on. */
function forget() {
  stopAsking();
  kept.clear();
}
