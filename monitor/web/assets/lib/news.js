// What happens to the queue while its page is open: asked for now and then, as long as somebody can see the page. Where
// nothing happened the answer is 304. A daemon that is away for a while is asked less and less often, and heard again.

const EVERY = 20_000, LONGEST = 300_000, PATIENCE = 15_000;

// `line` says where to ask and holds the texts; `onNews({ new, rows })` is called with what changed.
export function followNews(line, { onNews, onTrouble }) {
  let asked = line.dataset.mark, failures = 0, timer = 0, asking = false, over = false;

  function later() {
    clearTimeout(timer);
    if (over || document.hidden) return;
    const wait = Math.min(EVERY * 2 ** failures, LONGEST);
    timer = setTimeout(ask, wait * (0.9 + 0.2 * Math.random())); // not all windows at once after a restart
  }

  async function ask() {
    if (asking || over || document.hidden) return;
    asking = true;
    const stop = new AbortController(), patience = setTimeout(() => stop.abort(), PATIENCE);
    try {
      const reply = await fetch(line.dataset.news, {
        headers: { Accept: "application/json", "If-None-Match": `"${asked}"` }, cache: "no-store", redirect: "error", signal: stop.signal,
      });
      if ([401, 403, 404].includes(reply.status)) { over = true; onTrouble(reply.status === 401 ? "saidSignedOut" : ""); return; }
      if (reply.status !== 304) {
        if (!reply.ok) throw new Error(String(reply.status));
        const news = await reply.json();
        asked = news.mark;
        onNews(news);
      }
      if (failures) onTrouble("");
      failures = 0;
    } catch {
      failures += 1;
      if (failures === 3) onTrouble("saidOffline");
    } finally {
      clearTimeout(patience);
      asking = false;
      later();
    }
  }

  document.addEventListener("visibilitychange", () => { clearTimeout(timer); ask(); });
  addEventListener("pageshow", (event) => { if (event.persisted) ask(); });
  addEventListener("online", () => { failures = Math.min(failures, 1); ask(); });
  later();
}
