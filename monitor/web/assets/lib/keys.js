// Single keys of a page, with the box that switches them off for people who speak to their computer or whose keys are
// needed elsewhere (WCAG 2.1.4). Keys are names as in KeyboardEvent.key. `ready` may refuse an event.

let on = true;

export function keysAreOn() { return on; }

export function singleKeys(keys, ready = () => true) {
  const help = () => {
    const box = document.getElementById("keys");
    if (!box) return;
    box.open = !box.open;
    if (box.open) { box.scrollIntoView({ block: "nearest" }); box.querySelector("summary").focus(); }
  };
  const every = { "?": help, ...keys };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.defaultPrevented || !on) return;
    const target = event.target;
    if (target.closest("input:not([type=checkbox]):not([type=radio]), select, textarea")) return;
    if (event.key === "Enter" && target.closest("a, button, summary")) return;
    const act = every[event.key];
    if (!act || !ready(event)) return;
    event.preventDefault();
    act();
  });
  const line = document.getElementById("keys-switch");
  if (!line) return;
  const box = document.getElementById("keys-on");
  try { on = localStorage.getItem("review-keys") !== "off"; } catch { /* a browser that keeps nothing */ }
  box.checked = on;
  line.hidden = false;
  box.addEventListener("change", () => {
    on = box.checked;
    try { localStorage.setItem("review-keys", on ? "on" : "off"); } catch { /* the same */ }
  });
}
