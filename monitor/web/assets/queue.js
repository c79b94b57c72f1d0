// The review queue from the keyboard. Every act is the form that the page has anyway, sent in the background, one after
// the other; the answer says how each flag stands. Texts come from the page.
import { singleKeys } from "./lib/keys.js";
import { followNews } from "./lib/news.js";

const list = document.getElementById("queue");
const announce = document.getElementById("announce");
const said = (name, value = "") => (list.dataset[name] || "").replace("%s", value);

let rows = list ? [...list.querySelectorAll(".row")] : [];
let current = null; // the row that keys are about
let chosen = null; // the verdict that waits for confirmation: { key, shown }
let lastAct = list ? list.dataset.last : "";
let sending = Promise.resolve();

const template = document.getElementById("strip");
const strip = template ? template.content.firstElementChild.cloneNode(true) : null;
const part = (name) => strip.querySelector(name);

function tell(text) {
  announce.textContent = "";
  requestAnimationFrame(() => { announce.textContent = text; });
}

function go(row, { focus = true } = {}) {
  if (!row || row === current) return;
  cancel();
  if (current) current.removeAttribute("aria-current");
  current = row;
  row.setAttribute("aria-current", "true");
  if (strip) row.append(strip);
  if (focus) {
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }
}

const step = (by) => {
  const at = rows.indexOf(current);
  const next = rows[at + by];
  if (next) go(next);
  else if (by > 0) tell(said("saidEnd"));
};

function goOn() {
  const at = rows.indexOf(current);
  const next = rows.slice(at + 1).find((row) => !row.matches(".settled, .sending, .gone"));
  if (next) go(next);
  else if (list.dataset.next) {
    tell(said("saidNext"));
    show(current, said("saidNext"), true);
    current.dataset.atEnd = "1";
  } else tell(said("saidEnd"));
}

const selected = () => rows.filter((row) => row.querySelector('input[name="flag"]')?.checked);
const aimed = () => { const some = selected(); return some.length ? some : current ? [current] : []; };

function choose(key) {
  if (!strip || !current) return;
  const button = part(`[data-verdict="${key}"]`);
  chosen = { key, shown: button.dataset.shown };
  for (const one of strip.querySelectorAll("[data-verdict]")) one.setAttribute("aria-pressed", String(one === button));
  const some = selected();
  part(".ask").textContent = said("saidChoose", chosen.shown) + (some.length ? ` (${said("saidSelected", some.length)})` : "");
  part(".confirm").hidden = false;
  tell(part(".ask").textContent);
}

function cancel() {
  if (!strip) return;
  chosen = null;
  for (const one of strip.querySelectorAll("[data-verdict]")) one.removeAttribute("aria-pressed");
  part(".confirm").hidden = true;
  part(".noting").hidden = true;
  part(".noting input").value = "";
}

function confirm() {
  if (!chosen) return;
  const verdict = chosen, note = part(".noting input").value, some = aimed();
  cancel();
  for (const row of some) {
    row.classList.add("sending");
    row.querySelector(".verdict").textContent = said("saidJudged", verdict.shown);
    show(row, "");
  }
  const bulk = selected().length > 0;
  current.focus({ preventScroll: true });
  unselect();
  if (!bulk) goOn();
  send({ what: "review", verdict: verdict.key, note }, some);
}

function mine() {
  const some = aimed();
  unselect();
  send({ what: "assign", to: "me" }, some);
}

function note() {
  if (!strip || !current) return;
  part(".noting").hidden = false;
  part(".noting input").focus();
}

function saveNote() {
  const text = part(".noting input").value.trim();
  if (chosen) return confirm();
  part(".noting").hidden = true;
  part(".noting input").value = "";
  current.focus({ preventScroll: true });
  if (text) send({ what: "note", note: text }, [current]);
}

function undo() {
  sending = sending.then(() => lastAct ? post({ what: "undo", act: lastAct }, []) : undefined);
}

function send(fields, some) { sending = sending.then(() => post(fields, some)); }

async function post(fields, some) {
  const form = new URLSearchParams(fields);
  for (const row of some) form.append("flag", row.dataset.seen);
  let answer;
  try {
    const reply = await fetch(list.dataset.act, {
      method: "POST", body: form, headers: { Accept: "application/json", "X-CSRF-Token": list.dataset.csrf }, redirect: "error",
    });
    if (reply.status === 401) throw new Error(said("saidSignedOut"));
    if (!reply.ok) throw new Error(said("saidFailed"));
    answer = await reply.json();
  } catch (error) {
    const text = error.message === said("saidSignedOut") ? error.message : said("saidFailed");
    for (const row of some) { row.classList.remove("sending"); row.querySelector(".verdict").textContent = ""; show(row, text); }
    tell(text);
    return;
  }
  lastAct = answer.act === null ? "" : String(answer.act);
  if (answer.kind !== "note") document.getElementById("undo")?.remove();
  let back = null;
  for (const [id, state] of Object.entries(answer.rows)) {
    const row = document.getElementById(`f-${id}`);
    if (!row) continue;
    stand(row, state);
    if (answer.overtaken.includes(id)) show(row, answer.said);
    else if (fields.what === "undo") back ??= row;
  }
  for (const row of some) {
    row.classList.remove("sending");
    const id = row.id.slice(2);
    if (!(id in answer.rows)) { row.querySelector(".verdict").textContent = ""; show(row, answer.said); }
  }
  tell(answer.said);
  if (back) go(back);
}

// How a row stands, by what the server says.
function stand(row, state) {
  row.dataset.seen = state.seen;
  const box = row.querySelector('input[name="flag"]');
  if (box) box.value = state.seen;
  row.classList.toggle("settled", state.settled);
  row.classList.remove("sending");
  row.querySelector(".verdict").textContent = state.verdict ? said("saidJudged", state.verdict) : "";
  row.querySelector(".by").textContent = state.reviewer + (state.note ? (state.reviewer ? "：" : "") + state.note : "");
  row.querySelector(".to").textContent = state.assignee ? said("saidTo", state.assignee) : "";
  show(row, "");
}

function show(row, text, quiet = false) {
  const place = row.querySelector(".said");
  place.textContent = text;
  place.classList.toggle("quiet", quiet);
}

function select(row) {
  const box = row?.querySelector('input[name="flag"]');
  if (!box) return;
  box.checked = !box.checked;
  count();
}
function unselect() {
  for (const row of selected()) row.querySelector('input[name="flag"]').checked = false;
  count();
}
function count() {
  const n = selected().length;
  const place = document.getElementById("chosen");
  if (place) place.textContent = n ? said("saidSelected", n) : "";
  document.getElementById("bulk")?.classList.toggle("some", n > 0);
  if (n) tell(said("saidSelected", n));
}

function enter() {
  if (chosen) confirm();
  else if (current?.dataset.atEnd && current.classList.contains("settled") | current.classList.contains("sending") && list.dataset.next) {
    sending.then(() => { location.href = list.dataset.next; });
  } else if (current) sending.then(() => { location.href = current.querySelector("a.item").href; });
}

// What colleagues and the daemon do meanwhile. No row moves, and what a verdict is sent with stays as it was on the
// screen: whoever judges a marked row all the same is told first what the colleague said.
const line = document.getElementById("fresh"), news = document.getElementById("news"), refreshLink = document.getElementById("refresh");
const risen = new Set(); // rows of this page whose grade changed
const lines = { trouble: "", news: "" };

const counters = (seen) => seen.split(".").slice(-2).map(Number);

function meanwhile(row, state) {
  if (row.classList.contains("sending")) return; // the answer of one's own act says how it stands
  const [revision, version] = counters(row.dataset.seen), [later, taken] = counters(state.seen);
  if (later > revision || taken > version) {
    row.classList.toggle("settled", state.settled);
    row.querySelector(".verdict").textContent = state.verdict ? said("saidJudged", state.verdict) : "";
    row.querySelector(".by").textContent = state.reviewer + (state.note ? (state.reviewer ? "：" : "") + state.note : "");
    row.querySelector(".to").textContent = state.assignee ? said("saidTo", state.assignee) : "";
    if (row === current && state.settled) tell(`${state.reviewer} ${said("saidJudged", state.verdict)}`);
  }
  row.classList.toggle("gone", Boolean(state.over) && !state.settled);
  if (state.over && !state.settled) show(row, state.over, true);
  if (state.raised && !state.over) { risen.add(row.id); show(row, line.dataset.saidRaised, true); }
}

function onNews({ new: ids, rows: states }) {
  for (const [id, state] of Object.entries(states)) {
    const row = document.getElementById(`f-${id}`);
    if (row) meanwhile(row, state);
  }
  const fresh = ids.filter((id) => !document.getElementById(`f-${id}`)).length, all = fresh + risen.size;
  const text = risen.size ? (all === 1 ? "saidChangedOne" : "saidChanged") : fresh === 1 ? "saidNewOne" : "saidNew";
  lines.news = all ? line.dataset[text].replace("%s", String(all)) : "";
  sayNews();
}

function sayNews() {
  const text = lines.trouble || lines.news;
  line.classList.toggle("some", Boolean(text));
  refreshLink.hidden = Boolean(text);
  if (news.textContent === text) return;
  const link = document.createElement("a");
  link.href = refreshLink.href;
  link.textContent = text;
  link.addEventListener("click", (event) => { event.preventDefault(); refresh(); });
  news.replaceChildren(...(text ? [link] : []));
}

function refresh() {
  const address = new URL(refreshLink.href);
  sending.then(() => {
    if (address.pathname + address.search === here) location.reload();
    else location.href = address.href + (current ? `#${current.id}` : "");
  });
}

followNews(line, {
  onNews,
  onTrouble: (text) => { lines.trouble = line.dataset[text] || ""; sayNews(); },
});

function turn(which) {
  const link = document.querySelector(`.pager a[rel="${which}"]`);
  if (link) sending.then(() => { location.href = link.href; });
}

const verdicts = strip ? [...strip.querySelectorAll("[data-verdict]")].map((one) => one.dataset.verdict) : [];
const KEYS = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  Enter: enter, o: () => current && sending.then(() => { location.href = current.querySelector("a.item").href; }),
  y: confirm, Escape: cancel, n: note, u: undo, x: () => select(current), a: mine, r: refresh,
  "]": () => turn("next"), "】": () => turn("next"), ArrowRight: () => turn("next"),
  "[": () => turn("prev"), "【": () => turn("prev"), ArrowLeft: () => turn("prev"),
  "/": () => { const box = document.querySelector(".narrowing"); box.open = true; document.getElementById("q-item").focus(); },
};
verdicts.forEach((key, at) => { KEYS[String(at + 1)] = () => choose(key); });

document.addEventListener("keydown", (event) => {
  if (!strip || event.target !== part(".noting input") || event.isComposing) return;
  if (event.key === "Enter") { event.preventDefault(); saveNote(); }
  if (event.key === "Escape") { event.preventDefault(); cancel(); current.focus({ preventScroll: true }); }
});
// Where one was, for coming back from a flag's page and for the page that is asked for once more.
const here = location.pathname + location.search;
function left() {
  try {
    const kept = JSON.parse(sessionStorage.getItem("queue")), way = performance.getEntriesByType("navigation")[0]?.type;
    if (kept?.here !== here || !(location.hash || ["reload", "back_forward"].includes(way))) return null;
    return document.getElementById(kept.row) || rows[Math.min(kept.at, rows.length - 1)];
  } catch { return null; } // a browser that keeps nothing
}
addEventListener("pagehide", () => {
  const kept = { here, row: current?.id ?? "", at: Math.max(rows.indexOf(current), 0) };
  try { sessionStorage.setItem("queue", JSON.stringify(kept)); } catch { /* the same */ }
});

const ANYWHERE = ["/", "?", "r", "[", "]", "【", "】", "ArrowLeft", "ArrowRight"]; // the others are about rows
singleKeys(KEYS, (event) => list || ANYWHERE.includes(event.key));
if (list) {
  list.addEventListener("focusin", (event) => go(event.target.closest(".row"), { focus: false }));
  list.addEventListener("click", (event) => { if (!event.target.closest("a, button, input")) go(event.target.closest(".row")); });
  list.addEventListener("change", count);
  if (strip) {
    strip.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.verdict) choose(button.dataset.verdict);
      else ({ confirm, cancel, note, mine, save: saveNote })[button.dataset.do]();
    });
  }
  const wanted = (location.hash.startsWith("#f-") && document.getElementById(location.hash.slice(1))) || left();
  go(wanted || rows.find((row) => !row.classList.contains("settled")) || rows[0], { focus: Boolean(wanted) || !document.querySelector(".flash") });
  count();
}

document.documentElement.classList.add("scripted");
