// The wall refreshes its content in place: nothing jumps, a failure is said, and a reader may pause it (WCAG 2.2.1, 2.2.2).

const box = document.querySelector("[data-refresh]");
const button = document.querySelector("[data-pause]");
const said = document.querySelector("[data-said]");
const every = Number(box.dataset.refresh) * 1000;
let paused = false;

async function refresh() {
  const focus = document.activeElement;
  if (paused || document.hidden || (focus && box.contains(focus))) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-refresh]");
    if (!fresh) throw new Error("another page");
    box.replaceChildren(...fresh.childNodes);
    said.textContent = "";
  } catch {
    said.textContent = said.dataset.said;
  }
}

button.hidden = false;
button.addEventListener("click", () => {
  paused = !paused;
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? button.dataset.resume : button.dataset.pause;
  if (!paused) refresh();
});
setInterval(refresh, every);
document.addEventListener("visibilitychange", refresh);
