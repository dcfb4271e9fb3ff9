// The river of journeys: where sessions are at each position, and where they go on to. Layout by d3-sankey.
"use strict";

const RIVER = { row: 34, least: 320, most: 680, node: 14, gap: 15 };
/** Least room for a column, and for the words behind the last one; narrow screens scroll. */
const roomOf = (width) => (width < 620 ? { column: 118, words: 112 } : { column: 168, words: 150 });
const isStep = (node) => node.kind === "step";

/** A step has one colour at all positions: the largest first. */
function coloursOf(nodes) {
  const sizes = d3.rollup(nodes.filter(isStep), (group) => d3.sum(group, (node) => node.sessions), (node) => node.step);
  const order = [...sizes].sort((a, b) => b[1] - a[1]).map(([step]) => step);
  const fixed = { exit: "exit", other: "rest", later: "rest", start: "start" };
  return (node) => fixed[node.kind] ?? (order.indexOf(node.step) < 10 ? `c${order.indexOf(node.step)}` : "c-more");
}

/** The first `positions` positions of the data; a flow into a position that is not shown is left out with it. */
function firstPositions(data, positions) {
  const shown = new Set(data.nodes.filter((node) => node.position <= positions).map((node) => node.id));
  const nodes = data.nodes.filter((node) => shown.has(node.id));
  return { nodes, links: data.links.filter((link) => shown.has(link.source) && shown.has(link.target)) };
}

function drawSankey(data, { width, positions, step, choose }) {
  const { nodes, links } = firstPositions(data, positions);
  if (!links.length) return noSessions();
  const colour = coloursOf(data.nodes);
  const first = Math.min(...nodes.map((node) => node.position));
  const columns = Math.max(...nodes.map((node) => node.position)) - first + 1;
  const { column, words } = roomOf(width);
  const tallest = Math.max(...d3.rollup(nodes, (group) => group.length, (node) => node.position).values());
  const size = {
    width: Math.max(width, columns * column + words),
    height: Math.min(RIVER.most, Math.max(RIVER.least, tallest * RIVER.row + 60)),
  };
  const last = (node) => ({ exit: 2, other: 1, later: 1 })[node.kind] ?? 0;
  const layout = d3.sankey().nodeId((node) => node.id).nodeWidth(RIVER.node).nodePadding(RIVER.gap)
    .nodeAlign((node) => node.position - first)
    .nodeSort((a, b) => last(a) - last(b) || b.sessions - a.sessions || d3.ascending(a.step, b.step))
    .extent([[1, 26], [size.width - words, size.height - 8]]);
  const graph = layout({
    nodes: nodes.map((node) => ({ ...node, fixedValue: node.sessions })),
    links: links.map((link) => ({ ...link, value: link.sessions })),
  });
  const all = d3.sum(graph.nodes.filter((node) => node.position === first), (node) => node.sessions);
  const room = (size.width - words - RIVER.node) / Math.max(1, columns - 1) - RIVER.node - 14;
  const chart = svg("svg", {
    class: `chart sankey${step ? " filtered" : ""}`, viewBox: `0 0 ${size.width} ${size.height}`, width: size.width,
    height: size.height, role: "group", "aria-label": "Sessions by position. Arrow keys move between steps, Enter filters by one.",
  });
  drawHeads(chart, graph);
  const touched = (link) => !step || [link.source, link.target].some((node) => isStep(node) && node.step === step);
  const paths = new Map(graph.links.map((link) => [link, drawLink(link, colour, touched(link))]));
  chart.append(svg("g", { class: "links" }, [...paths.values()]));
  const groups = new Map(graph.nodes.map((node) => [node, drawNode(node, { colour, room, size, all, step, choose })]));
  chart.append(svg("g", { class: "nodes" }, [...groups.values()]));
  const parts = { graph, layout, paths, groups, size };
  for (const [node, group] of groups) {
    draggable(node, group, parts);
    highlight(node, group, parts, chart);
  }
  roam(parts);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Journeys, position by position" }, chart);
}

function drawHeads(chart, graph) {
  for (const [position, [node]] of d3.group(graph.nodes, (one) => one.position)) {
    chart.append(svg("text", { class: "head", x: node.x0, y: 14 }, node.kind === "start" ? "Start" : `Step ${position}`));
  }
}

const WORDS = { exit: "Exit", start: "All sessions", other: "Other steps", later: "Later steps" };
const wording = (node) => WORDS[node.kind] ?? label(node.step);

function drawLink(link, colour, touched) {
  const path = svg("path", {
    class: `link ${colour(link.target.kind === "exit" || link.source.kind === "start" ? link.target : link.source)}${touched ? "" : " dim"}`,
    d: d3.sankeyLinkHorizontal()(link), "stroke-width": Math.max(1, link.width), "data-source": link.source.id,
    "data-target": link.target.id, "data-value": link.sessions,
  });
  return tip.on(path, () => [
    `${wording(link.source)} → ${wording(link.target)}`,
    `${count(link.sessions)} sessions`,
    `${percent(link.sessions / link.source.sessions)} of those at ${cut(wording(link.source), 40)} there`,
  ]);
}

function drawNode(node, { colour, room, size, all, step, choose }) {
  const canChoose = isStep(node) && node.step !== null;
  const chosen = canChoose && node.step === step;
  const words = [wording(node), `${count(node.sessions)} sessions, ${percent(node.sessions / all)} of all`];
  const gone = node.sourceLinks.find((link) => link.target.kind === "exit");
  if (gone) words.push(`${count(gone.sessions)} leave here (${percent(gone.sessions / node.sessions)})`);
  const group = svg("g", {
    class: `node ${colour(node)}${chosen ? " chosen" : ""}${step && !chosen && node.kind !== "exit" ? " dim" : ""}`,
    role: canChoose ? "button" : "img", tabindex: "-1", "aria-label": words.join(", "),
    "aria-pressed": canChoose ? String(chosen) : null, "data-id": node.id, "data-value": node.sessions,
  });
  const height = Math.max(1, node.y1 - node.y0);
  group.append(svg("rect", { x: node.x0, y: node.y0, width: node.x1 - node.x0, height, rx: 2 }));
  group.append(svg("rect", { class: "touch", x: node.x0 - 6, y: node.y0 - 3, width: node.x1 - node.x0 + 12, height: height + 6 }));
  const number = ` ${count(node.sessions)}`;
  const letters = Math.max(6, Math.floor((Math.min(room, size.width - node.x1) - 8) / 7) - number.length);
  group.append(svg("text", { x: node.x1 + 6, y: (node.y0 + node.y1) / 2, dy: "0.35em" },
    svg("tspan", {}, `\u2068${cut(wording(node), letters)}\u2069`), svg("tspan", { class: "number" }, number)));
  tip.on(group, () => [...words, ...(canChoose ? ["Click to filter, drag to move"] : ["Drag to move"])]);
  if (canChoose) {
    const press = () => choose(chosen ? null : node.step);
    group.addEventListener("click", () => { if (!group.dragged) press(); });
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); press(); }
    });
  }
  return group;
}

/** Under the pointer: only what flows in and out of this node is bright. */
function highlight(node, group, { paths }, chart) {
  const mine = [...node.sourceLinks, ...node.targetLinks];
  const on = () => { chart.classList.add("hovering"); for (const link of mine) paths.get(link).classList.add("near"); };
  const off = () => { chart.classList.remove("hovering"); for (const link of mine) paths.get(link).classList.remove("near"); };
  for (const event of ["pointerenter", "focus"]) group.addEventListener(event, on);
  group.addEventListener("focus", () => {
    for (const other of chart.querySelectorAll("g.node[tabindex='0']")) other.setAttribute("tabindex", "-1");
    group.setAttribute("tabindex", "0");
  });
  for (const event of ["pointerleave", "blur"]) group.addEventListener(event, off);
}

function moveNode(node, dx, dy, { layout, graph, paths, groups, size }) {
  const [w, h] = [node.x1 - node.x0, node.y1 - node.y0];
  const x = Math.max(0, Math.min(size.width - w, node.x0 + dx));
  const y = Math.max(20, Math.min(size.height - h, node.y0 + dy));
  node.moved = [(node.moved?.[0] ?? 0) + x - node.x0, (node.moved?.[1] ?? 0) + y - node.y0];
  Object.assign(node, { x0: x, y0: y, x1: x + w, y1: y + h });
  groups.get(node).setAttribute("transform", `translate(${node.moved.join(" ")})`);
  layout.update(graph);
  const line = d3.sankeyLinkHorizontal();
  for (const [link, path] of paths) path.setAttribute("d", line(link));
}

function draggable(node, group, parts) {
  let from = null;
  group.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = { x: event.clientX, y: event.clientY };
    group.dragged = false;
    group.setPointerCapture(event.pointerId);
  });
  group.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    if (!group.dragged && Math.hypot(dx, dy) < 4) return;
    group.dragged = true;
    tip.hide();
    const scale = parts.size.width / group.ownerSVGElement.getBoundingClientRect().width;
    moveNode(node, dx * scale, dy * scale, parts);
    from = { x: event.clientX, y: event.clientY };
  });
  const end = () => { from = null; };
  group.addEventListener("pointerup", end);
  group.addEventListener("pointercancel", end);
}

/** One stop of the Tab key for all nodes; arrows go from node to node, with Alt they move it. */
function roam(parts) {
  const { graph, groups } = parts;
  const columns = d3.groups(graph.nodes, (node) => node.position).sort((a, b) => a[0] - b[0])
    .map(([, nodes]) => nodes.sort((a, b) => a.y0 - b.y0));
  groups.get(columns[0][0]).setAttribute("tabindex", "0");
  const steps = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  columns.forEach((nodes, x) => nodes.forEach((node, y) => groups.get(node).addEventListener("keydown", (event) => {
    const by = steps[event.key];
    if (!by) return;
    event.preventDefault();
    if (event.altKey) { moveNode(node, by[0] * 12, by[1] * 12, parts); return; }
    const column = columns[Math.max(0, Math.min(columns.length - 1, x + by[0]))];
    const target = column[Math.max(0, Math.min(column.length - 1, y + by[1]))];
    groups.get(target).focus();
  })));
}
