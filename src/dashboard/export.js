// What leaves the page: rows as CSV, a chart as PNG, SQL to the clipboard.
"use strict";

/**
 * RFC 4180. These files are opened by spreadsheets, which run a text that begins like a formula: such a text gets an
 * apostrophe in front. Numbers are numbers and stay. (`journeyql sql --format csv` leaves every text as it is.)
 */
function csv(rows) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const field = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    const safe = /^[\s\u0000-\u001f]*[=+\-@|%\uff0b\uff0d\uff1d\uff20]/.test(text) || /^[\t\r\n]/.test(text) ? `'${text}` : text;
    return safe === "" || /[",\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return `${[columns, ...rows.map((row) => columns.map((key) => row[key]))].map((row) => row.map(field).join(",")).join("\n")}\n`;
}

function download(blob, file) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: file });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
const saveCsv = (rows, file) => download(new Blob([csv(rows)], { type: "text/csv;charset=utf-8" }), `${file}.csv`);

/** A chart with its title and a margin, as it is pasted into slides. */
function framed(title, inner) {
  const [margin, head] = [20, 44];
  const [width, height] = ["width", "height"].map((side) => Number(inner.getAttribute(side)) + 2 * margin + (side === "height" ? head - margin : 0));
  const look = getComputedStyle(document.body);
  inner.setAttribute("x", margin);
  inner.setAttribute("y", head);
  return svg("svg", { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` }, svg("rect", { width, height, fill: background() }),
    svg("text", { x: margin, y: 29, fill: look.color, "font-family": look.fontFamily, "font-size": 16, "font-weight": 600 }, title), inner);
}

async function savePng(drawing, title, file) {
  const chart = drawing.querySelector("svg.chart");
  const picture = framed(title, chart ? copyOfSvg(chart) : pictureOf(drawing));
  const [width, height] = [Number(picture.getAttribute("width")), Number(picture.getAttribute("height"))];
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(picture))}`;
  await image.decode();
  // Twice the size for sharp slides, within what canvases hold.
  const scale = Math.min(2, 16_000 / Math.max(width, height), Math.sqrt(1e8 / (width * height)));
  const canvas = el("canvas", { width: Math.ceil(width * scale), height: Math.ceil(height * scale) });
  const ink = canvas.getContext("2d");
  ink.scale(scale, scale);
  ink.drawImage(image, 0, 0, width, height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("the browser could not draw it");
  download(blob, `${file}.png`);
}

const background = () => getComputedStyle(document.body).getPropertyValue("--panel").trim() || "white";

/** A chart with its looks written into it: a picture knows no style sheet. */
function copyOfSvg(chart) {
  const copy = chart.cloneNode(true);
  const looks = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "opacity", "font-family", "font-size",
    "font-weight", "text-anchor", "paint-order", "stroke-linejoin"];
  const [from, to] = [chart, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  to.forEach((node, at) => {
    const computed = getComputedStyle(from[at]);
    for (const look of looks) node.setAttribute(look, computed.getPropertyValue(look));
    node.removeAttribute("class");
  });
  const { width, height } = chart.viewBox.baseVal;
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  return copy;
}

/** A picture of a table or of bars: the boxes and texts as they stand on the page. */
function pictureOf(node) {
  const scroller = node.querySelector(".scroll") ?? node;
  const frame = scroller.getBoundingClientRect();
  const [left, top] = [frame.left - scroller.scrollLeft, frame.top - scroller.scrollTop];
  const [width, height] = [Math.max(scroller.scrollWidth, frame.width), Math.max(scroller.scrollHeight, frame.height)];
  const picture = svg("svg", { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` });
  const walker = document.createTreeWalker(scroller, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let at = walker.currentNode; at; at = walker.nextNode()) {
    if (at.nodeType === Node.ELEMENT_NODE) drawBox(picture, at, left, top);
    else drawText(picture, at, left, top);
  }
  return picture;
}

/** What is no part of a picture: words for the ears, drawings of their own, buttons to press. */
const UNDRAWN = ".unseen, svg, button.more";

function drawBox(picture, node, left, top) {
  if (node.closest(UNDRAWN) || !node.checkVisibility()) return;
  const style = getComputedStyle(node);
  const box = node.getBoundingClientRect();
  const rect = (x, width, fillColor) => picture.append(svg("rect", {
    x, y: box.top - top, width, height: box.height, rx: Math.min(parseFloat(style.borderRadius) || 0, 4), fill: fillColor,
  }));
  if (!/^rgba\(.*, 0\)$|transparent/.test(style.backgroundColor)) rect(box.left - left, box.width, style.backgroundColor);
  const bar = node.classList.contains("bar") && parseFloat(node.style.getPropertyValue("--bar"));
  if (bar) rect(box.left - left, (box.width * bar) / 100, style.getPropertyValue("--soft"));
}

function drawText(picture, node, left, top) {
  const parent = node.parentElement;
  if (!node.data.trim() || parent.closest(UNDRAWN) || !parent.checkVisibility()) return;
  const range = document.createRange();
  range.selectNodeContents(node);
  const style = getComputedStyle(parent);
  const upright = style.writingMode === "horizontal-tb";
  for (const line of upright ? linesOf(node, range) : [{ text: node.data, box: range.getBoundingClientRect() }]) {
    const [x, y] = [line.box.left - left, line.box.top - top];
    const [w, h] = [line.box.width, line.box.height];
    picture.append(svg("text", {
      x: upright ? x : 0, y: upright ? y + h * 0.78 : 0, fill: style.color, "font-family": style.fontFamily,
      "font-size": style.fontSize, "font-weight": style.fontWeight, "xml:space": "preserve",
      transform: upright ? null : `translate(${x + w * 0.72} ${y + h}) rotate(-90)`,
    }, line.text));
  }
}

/** The lines that a text was broken into. */
function linesOf(node, range) {
  if (range.getClientRects().length < 2) return [{ text: node.data, box: range.getBoundingClientRect() }];
  const lines = [];
  for (let at = 0; at < node.data.length; at += 1) {
    range.setStart(node, at);
    range.setEnd(node, at + 1);
    const box = range.getBoundingClientRect();
    const last = lines.at(-1);
    if (last && Math.abs(last.box.top - box.top) < 2) last.text += node.data[at];
    else if (box.width) lines.push({ text: node.data[at], box });
  }
  return lines;
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages from files and plain HTTP have no clipboard of their own: the old way.
    const area = el("textarea", { class: "unseen" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
