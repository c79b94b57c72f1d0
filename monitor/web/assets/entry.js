// The price form on a poor network: what is typed is kept on this device at once, sent when the network is there, and
// stored once by the form's id. The page works without this.
const form = document.getElementById("prices");
const say = document.getElementById("kept");
const texts = form.dataset;
let place = `prices:${texts.kept}`;
const KEPT_DAYS = 3;
let sending = false;
let leaving = false;
let signedOut = false;

function fields() {
  return [...form.querySelectorAll("input[name]:not([type=hidden])")];
}

function tell(text) {
  say.textContent = text || "";
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(place));
  } catch {
    return null;
  }
}

function write(queued) {
  const changed = fields().filter((one) => (one.type === "checkbox" ? one.checked !== one.defaultChecked : one.value !== one.defaultValue));
  const values = Object.fromEntries(changed.map((one) => [one.name, one.type === "checkbox" ? one.checked : one.value]));
  try {
    if (changed.length) {
      localStorage.setItem(place, JSON.stringify({ id: form.elements.form_id.value, values, queued, at: Date.now() }));
    } else {
      localStorage.removeItem(place);
    }
    return changed.length > 0;
  } catch {
    return false; // private windows and full disks: the page works as a plain form
  }
}

function forget() {
  try {
    localStorage.removeItem(place);
  } catch {
    // as above
  }
}

function tidy() {
  const oldest = Date.now() - KEPT_DAYS * 86400000;
  try {
    for (const key of Object.keys(localStorage).filter((one) => one.startsWith("prices:"))) {
      const kept = JSON.parse(localStorage.getItem(key) || "{}");
      if (!kept || !(kept.at > oldest)) localStorage.removeItem(key);
    }
  } catch {
    // as above
  }
}

// A move above the limit opens the reason at once; the server asks all the same.
function ask(input) {
  if (!input.dataset.before) return;
  const before = Number(input.dataset.before);
  const now = Number(input.value.replace(/[０-９．]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0)));
  const row = input.closest(".price");
  const far = input.value.trim() !== "" && input.value !== input.defaultValue && Number.isFinite(now) && before > 0
    && Math.abs(now - before) > Number(input.dataset.limit || Infinity) * before * (1 + 1e-9);
  row.classList.toggle("ask", far);
  if (far) row.querySelector(".why").open = true;
}

function restore() {
  const kept = read();
  if (!kept || !kept.values) return false;
  let found = false;
  for (const one of fields()) {
    if (!(one.name in kept.values) || form.querySelector(".wrong")) continue;
    if (one.type === "checkbox") one.checked = kept.values[one.name];
    else one.value = kept.values[one.name];
    found = true;
  }
  if (!found) return false;
  form.elements.form_id.value = kept.id;
  form.querySelectorAll("input[data-before]").forEach(ask);
  tell(texts.restored);
  return kept.queued;
}

async function send() {
  if (sending) return;
  sending = true;
  tell(texts.sending);
  let answer;
  try {
    answer = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { Accept: "application/json", "X-CSRF-Token": form.elements.csrf.value },
      redirect: "manual",
      credentials: "same-origin",
      signal: AbortSignal.timeout ? AbortSignal.timeout(20000) : undefined,
    });
  } catch {
    write(true);
    tell(texts.waiting);
    sending = false;
    return;
  }
  sending = false;
  if (answer.ok) {
    const said = await answer.json().catch(() => null);
    if (said && said.state === "done") {
      forget();
      leaving = true;
      location.assign(said.next);
      return;
    }
    if (said && said.state === "asked") {
      write(false);
      leaving = true;
      HTMLFormElement.prototype.submit.call(form); // the page with the questions; what is stored stays stored once
      return;
    }
  }
  signedOut = answer.status === 401 || answer.status === 403 || answer.type === "opaqueredirect";
  write(signedOut || answer.status >= 500); // what was handed in is sent once its owner has signed in again
  tell(signedOut ? texts.signin : texts.failed);
}

function again() {
  const kept = read();
  if (kept && kept.queued && !leaving && !signedOut) send();
}

// This page was kept on the device (entry-worker.js) and there is no network. Opened on a later day it is the form of
// that day, without what had been reported when it was kept.
function openedOffline() {
  const now = new Intl.DateTimeFormat("sv-SE", { timeZone: texts.zone }).format(new Date());
  const note = document.getElementById("offline");
  note.hidden = false;
  if (now === form.elements.day.value) return;
  document.querySelectorAll(".of-day").forEach((one) => {
    one.textContent = one.textContent.replace(form.elements.day.value, now);
  });
  const parts = texts.kept.split("|");
  parts[parts.length - 2] = now;
  place = `prices:${parts.join("|")}`;
  form.elements.day.value = now;
  form.elements.form_id.value = [...crypto.getRandomValues(new Uint8Array(12))].map((one) => one.toString(16).padStart(2, "0")).join("");
  for (const one of fields()) {
    if (one.type === "checkbox") one.defaultChecked = one.checked = false;
    else one.defaultValue = one.value = "";
  }
  form.querySelectorAll(".mark").forEach((one) => one.remove());
  form.querySelectorAll(".there").forEach((one) => one.classList.remove("there"));
  document.querySelectorAll(".only-online").forEach((one) => one.remove());
}

// Only where the address is safe (https, or this machine): elsewhere browsers keep no pages.
async function keepThisForm() {
  if (!("serviceWorker" in navigator) || !window.isSecureContext || !texts.worker) return;
  const controlled = Boolean(navigator.serviceWorker.controller);
  try {
    await navigator.serviceWorker.register(texts.worker, { scope: texts.scope });
    const ready = await navigator.serviceWorker.ready;
    if (!controlled && !texts.offline) ready.active.postMessage({ keep: location.href });
  } catch {
    // a browser that does not want to: the form must be open before the network goes
  }
}

tidy();
if (texts.offline) openedOffline();
form.addEventListener("input", (event) => {
  if (event.target.matches("input[data-before]")) ask(event.target);
  const kept = read();
  if (write(Boolean(kept && kept.queued))) tell(texts.local);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  write(true);
  if (navigator.onLine === false) tell(texts.waiting);
  else send();
});
// The numeric keypad's key for "next" goes to the next price instead of sending the form.
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches(".price > input")) return;
  event.preventDefault();
  const prices = [...form.querySelectorAll(".price > input")];
  const next = prices[prices.indexOf(event.target) + 1];
  (next || form.querySelector(".send button")).focus();
});
window.addEventListener("online", again);
setInterval(again, 20000);
if (restore()) again();
const wrong = document.getElementById("faults");
if (wrong) {
  wrong.focus();
  write(false);
}
keepThisForm();
