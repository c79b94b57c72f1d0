// A flag's page: its chart, and the keys for judging it. Without this file the page has a picture and a table.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { singleKeys } from "./lib/keys.js";

const figure = document.getElementById("chart");
const said = (name, value = "") => (figure.dataset[name] || "").replace("%s", value);
const DAY = 86400;

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

// Which lines are drawn at first, and how. `part` is the box that switches them.
function look(line, number) {
  const inks = ["--series-2", "--series-3", "--series-4", "--series-1"];
  switch (line.kind) {
    case "main": return { part: "", stroke: colour("--series-1"), width: 2.5 };
    case "expected": return { part: "band", stroke: colour("--quiet"), width: 1.25, dash: [2, 3] };
    case "low": case "high": return { part: "band", stroke: colour("--bad"), width: 1.25, dash: [6, 4] };
    case "area": return { part: "neighbours", stroke: colour(inks[number % 4]), width: 1.25, dash: [8, 3] };
    case "year": return { part: "years", stroke: colour(line.calendar === "lunar" ? "--series-4" : "--series-3"), width: 1.25, dash: line.years === 1 ? [] : line.years === 2 ? [6, 3] : [2, 3] };
    default: return { part: line.own ? "points" : "others", stroke: colour(inks[number % 4]), width: 1 };
  }
}

function draw(data) {
  const zoneDate = (at) => uPlot.tzDate(new Date(at * 1000), data.zone);
  const dayOf = new Intl.DateTimeFormat("sv-SE", { timeZone: data.zone, year: "numeric", month: "2-digit", day: "2-digit" });
  const on = { "": true, band: true, points: data.lines.filter((line) => line.own).length <= 6, others: false, neighbours: false, years: false, holidays: true, events: true, doubtful: true };
  const counts = {};
  const looks = data.lines.map((line) => look(line, (counts[line.kind] = (counts[line.kind] ?? -1) + 1)));
  const series = data.lines.map((line, at) => ({ label: line.label, stroke: looks[at].stroke, width: looks[at].width, dash: looks[at].dash, show: on[looks[at].part], spanGaps: true, points: { show: false } }));
  const place = (kind) => data.lines.findIndex((line) => line.kind === kind) + 1;
  const bands = place("low") && place("high") ? [{ series: [place("high"), place("low")], fill: colour("--band") }] : [];

  const area = document.createElement("div");
  const readout = document.createElement("p");
  readout.className = "readout"; readout.setAttribute("role", "status");
  const tools = document.createElement("div");
  tools.className = "tools";

  const shade = (u, from, to, fill) => {
    const left = Math.max(u.valToPos(Math.max(from, u.scales.x.min), "x", true), u.bbox.left);
    const right = Math.min(u.valToPos(Math.min(to, u.scales.x.max), "x", true), u.bbox.left + u.bbox.width);
    if (right < left || to < u.scales.x.min || from > u.scales.x.max) return;
    u.ctx.fillStyle = fill;
    u.ctx.fillRect(left, u.bbox.top, Math.max(right - left, 1.5), u.bbox.height);
  };
  const behind = (u) => {
    const { ctx } = u;
    ctx.save();
    if (on.holidays) for (const one of data.holidays) shade(u, one.start, one.end, colour("--line") + "99");
    shade(u, data.flag.start, data.flag.end ?? u.scales.x.max, colour("--bad") + "1f");
    ctx.restore();
  };
  const before = (u) => {
    const { ctx } = u;
    const scale = devicePixelRatio || 1;
    ctx.save();
    ctx.font = `${11 * scale}px sans-serif`;
    ctx.textBaseline = "top";
    if (on.holidays) {
      ctx.fillStyle = colour("--quiet");
      let free = -Infinity;
      for (const one of data.holidays) {
        if (one.start < u.scales.x.min || one.start > u.scales.x.max) continue;
        const x = u.valToPos(one.start, "x", true);
        if (x < free || u.scales.x.max - u.scales.x.min > 800 * DAY) continue;
        ctx.fillText(one.name, x, u.bbox.top + u.bbox.height - 14 * scale);
        free = x + ctx.measureText(one.name).width + 4 * scale;
      }
    }
    if (on.events) {
      data.events.forEach((one, at) => {
        const from = Math.max(one.start, u.scales.x.min), to = Math.min(one.end ?? u.scales.x.max, u.scales.x.max);
        if (from > u.scales.x.max || to < u.scales.x.min) return;
        const y = u.bbox.top + (2 + 5 * (at % 5)) * scale;
        ctx.fillStyle = one.this ? colour("--bad") : one.kind === "flag" ? colour("--warn") : colour("--demo");
        ctx.fillRect(u.valToPos(from, "x", true), y, Math.max(u.valToPos(to, "x", true) - u.valToPos(from, "x", true), 3 * scale), 3 * scale);
      });
    }
    if (on.doubtful) {
      ctx.strokeStyle = colour("--bad");
      ctx.lineWidth = 1.5 * scale;
      for (const [at, value] of data.doubtful) {
        if (at < u.scales.x.min || at > u.scales.x.max || value === null) continue;
        const x = u.valToPos(at, "x", true), r = 4 * scale;
        const y = Math.min(Math.max(u.valToPos(value, "y", true), u.bbox.top + r), u.bbox.top + u.bbox.height - r);  // beyond the edge: at it
        ctx.beginPath(); ctx.moveTo(x - r, y - r); ctx.lineTo(x + r, y + r); ctx.moveTo(x - r, y + r); ctx.lineTo(x + r, y - r); ctx.stroke();
      }
    }
    if (data.lines.every((line) => line.kind !== "expected") && data.flag.expected !== null) {
      ctx.strokeStyle = colour("--quiet"); ctx.setLineDash([2 * scale, 3 * scale]); ctx.lineWidth = scale;
      const y = u.valToPos(data.flag.expected, "y", true);
      ctx.beginPath(); ctx.moveTo(u.bbox.left, y); ctx.lineTo(u.bbox.left + u.bbox.width, y); ctx.stroke();
    }
    ctx.restore();
  };
  const number = (value) => value === null || value === undefined ? "—" : String(value);
  const read = (u) => {
    const at = u.cursor.idx;
    if (at === null || at === undefined) { readout.textContent = said("saidKeys"); return; }
    const parts = [[dayOf.format(new Date(data.at[at] * 1000)), null]];
    data.lines.forEach((line, n) => { if (u.series[n + 1].show && line.value[at] !== null) parts.push([`${line.label} ${number(line.value[at])}`, looks[n]]); });
    for (const [when, value, point] of data.doubtful) if (on.doubtful && when === data.at[at]) parts.push([`× ${point} ${number(value)}`, null]);
    for (const one of data.events) if (on.events && one.start <= data.at[at] && (one.end === null || one.end >= data.at[at])) parts.push([one.label, null]);
    for (const one of data.holidays) if (on.holidays && one.start <= data.at[at] && one.end > data.at[at]) parts.push([one.name, null]);
    readout.replaceChildren(...parts.slice(0, 40).map(([text, how]) => part(text, how)));
  };
  // A piece of the readout, with a piece of the line that it is about.
  const part = (text, how) => {
    const one = document.createElement("span");
    if (how) {
      const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS(sample.namespaceURI, "path");
      for (const [name, value] of [["viewBox", "0 0 24 8"], ["width", "24"], ["height", "8"], ["aria-hidden", "true"]]) sample.setAttribute(name, value);
      for (const [name, value] of [["d", "M0 4H24"], ["fill", "none"], ["stroke", how.stroke], ["stroke-width", String(how.width)], ["stroke-dasharray", (how.dash || []).join(" ") || "none"]]) line.setAttribute(name, value);
      sample.append(line);
      one.append(sample, " ");
    }
    one.append(text);
    return one;
  };
  const height = () => Math.round(Math.min(380, Math.max(240, innerHeight * 0.42)));
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px sans-serif" };
  const months = document.documentElement.lang.startsWith("zh")
    ? [[365 * DAY, "{YYYY}", null, null, null, null, null, null, 1], [28 * DAY, "{YYYY}-{MM}", null, null, null, null, null, null, 1], [DAY, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1]]
    : [[365 * DAY, "{YYYY}", null, null, null, null, null, null, 1], [28 * DAY, "{MMM} {YYYY}", null, null, null, null, null, null, 1], [DAY, "{MMM} {D}", "\n{YYYY}", null, null, null, null, null, 1]];
  const chart = new uPlot({
    width: figure.clientWidth, height: height(), tzDate: zoneDate, legend: { show: false },
    cursor: { drag: { x: true, y: false }, points: { size: 6 } },
    scales: { x: { time: true, range: (u, low, high) => [low, high] } },
    axes: [{ ...axis, values: months, space: 76 }, { ...axis, size: 56 }],
    series: [{}, ...series], bands,
    hooks: { drawClear: [behind], draw: [before], setCursor: [read] },
  }, [data.at, ...data.lines.map((line) => line.value)], area);

  const show = (from, to) => chart.setScale("x", { min: from, max: to });
  const last = data.at[data.at.length - 1], first = data.at[0];
  const ranges = [
    [said("saidShown"), () => show(Math.max(first, data.shown[0]), data.shown[1] + DAY)],
    [said("saidDays", 90), () => show(Math.max(first, last - 90 * DAY), last + DAY)],
    [said("saidYear"), () => show(Math.max(first, last - 365 * DAY), last + DAY)],
    [said("saidAll"), () => show(first, last + DAY)],
  ];
  const group = document.createElement("span");
  group.className = "ranges";
  ranges.forEach(([label, act], at) => {
    const button = document.createElement("button");
    button.type = "button"; button.className = "second"; button.textContent = label; button.setAttribute("aria-pressed", String(at === 0));
    button.addEventListener("click", () => { for (const one of group.children) one.setAttribute("aria-pressed", String(one === button)); act(); });
    group.append(button);
  });
  tools.append(group);
  const switches = document.createElement("fieldset");
  switches.className = "switches";
  const legend = document.createElement("legend");
  legend.textContent = said("saidShow");
  switches.append(legend);
  const has = (part) => looks.some((one) => one.part === part);
  for (const [part, label, there] of [
    ["points", said("saidPoints"), has("points")], ["others", said("saidOthers"), has("others")], ["neighbours", said("saidNeighbours"), has("neighbours")],
    ["band", said("saidBand"), has("band")], ["years", said("saidYears"), has("years")], ["holidays", said("saidHolidays"), data.holidays.length > 0],
    ["events", said("saidEvents"), data.events.length > 0], ["doubtful", said("saidDoubtful"), data.doubtful.length > 0],
  ]) {
    if (!there) continue;
    const id = `show-${part}`;
    const box = document.createElement("input"), name = document.createElement("label"), both = document.createElement("span");
    box.type = "checkbox"; box.id = id; box.checked = on[part];
    name.htmlFor = id; name.textContent = label;
    both.className = "check"; both.append(box, name);
    box.addEventListener("change", () => {
      on[part] = box.checked;
      chart.batch(() => looks.forEach((one, at) => { if (one.part === part) chart.setSeries(at + 1, { show: box.checked }); }));
      chart.redraw(false);
    });
    switches.append(both);
  }
  tools.append(switches);

  area.className = "curves";
  area.tabIndex = 0;
  area.setAttribute("role", "img");
  area.setAttribute("aria-label", figure.querySelector("svg").getAttribute("aria-label"));
  area.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
    if (!by) return;
    event.preventDefault();
    const low = data.at.findIndex((at) => at >= chart.scales.x.min), high = data.at.findLastIndex((at) => at <= chart.scales.x.max);
    const at = Math.min(Math.max((chart.cursor.idx ?? (by > 0 ? low - 1 : high + 1)) + by, low), high);
    chart.setCursor({ left: chart.valToPos(data.at[at], "x"), top: chart.bbox.height / 2 / (devicePixelRatio || 1) });
  });
  const lines = document.createElement("p");
  lines.className = "lines quiet";
  lines.textContent = said("saidUnit");
  figure.querySelector("svg").replaceWith(area);
  for (const one of figure.querySelectorAll(".legend, .choose")) one.remove(); // the tools do it, and more
  area.after(readout, tools);
  ranges[0][1]();
  readout.textContent = said("saidKeys");
  new ResizeObserver(() => chart.setSize({ width: figure.clientWidth, height: height() })).observe(figure);
}

if (figure) {
  fetch(figure.dataset.src, { headers: { Accept: "application/json" } })
    .then((reply) => { if (!reply.ok) throw new Error(String(reply.status)); return reply.json(); })
    .then((data) => { if (data.at) draw(data); })
    .catch(() => { /* the picture stays */ });
}

// Keys: a verdict, then Enter or y; a note; the next flag; the queue.
const form = document.getElementById("verdict");
const back = document.querySelector(".trail a");
try { // to the page of the queue that one came from, and the row
  const kept = JSON.parse(sessionStorage.getItem("queue"));
  if (kept?.here.startsWith(new URL(back.href).pathname + "?")) back.href = kept.here + (kept.row ? `#${kept.row}` : "");
} catch { /* the link as it is */ }
const go = (selector) => { const link = document.querySelector(selector); if (link) location.href = link.href; };
const keys = { j: () => go("#next-flag"), q: () => go(".trail a") };
if (form) {
  [...form.querySelectorAll('input[name="verdict"]')].forEach((radio, at) => { keys[String(at + 1)] = () => { radio.checked = true; radio.focus(); }; });
  const confirm = () => { if (form.querySelector('input[name="verdict"]:checked')) form.requestSubmit(form.querySelector('button[name="next"]')); };
  keys.Enter = confirm;
  keys.y = confirm;
  keys.n = () => document.getElementById("f-note").focus();
}
singleKeys(keys);
