// Keeps the price form for a phone without a signal: the page as its owner saw it last, with its styles and scripts.
// Nothing else is kept, and never for somebody else: it goes at sign-out, with another account, with another build
// (ENTRY_BUILD, which the server writes in front), and after a week. While the network is there, the server answers.
const PREFIX = "entry-form:";
const NAME = PREFIX + self.ENTRY_BUILD;
const FORM = new URL(self.registration.scope).pathname;
const OWNER = `${FORM}/kept-for`;
const MOST = 12;
const OLDEST = 7 * 86400000;
const PATIENCE = 8000;

// The address under which the form of today is kept, "" for every other page.
function place(url) {
  const asked = new URL(url);
  if (asked.origin !== location.origin || asked.pathname !== FORM || asked.searchParams.has("day")) return "";
  const kept = new URLSearchParams();
  for (const name of ["point", "part"]) if (asked.searchParams.has(name)) kept.set(name, asked.searchParams.get(name));
  return String(kept) ? `${FORM}?${kept}` : FORM;
}

async function forget() {
  await caches.delete(NAME);
}

async function keep(url, answer) {
  const owner = answer.headers.get("X-Entry-Form");
  if (answer.type === "opaqueredirect" || answer.redirected || answer.status === 403 || answer.status === 404) return forget();
  if (!answer.ok || !owner || !place(url)) return undefined;
  const html = await answer.text();
  let cache = await caches.open(NAME);
  const before = await cache.match(OWNER);
  if (before && (await before.text()) !== owner) {
    await forget();
    cache = await caches.open(NAME);
  }
  const headers = new Headers({ "X-Kept-At": String(Date.now()) });
  for (const name of ["Content-Type", "Content-Security-Policy", "Content-Language", "Referrer-Policy", "X-Content-Type-Options"]) {
    if (answer.headers.has(name)) headers.set(name, answer.headers.get(name));
  }
  const parts = [...html.matchAll(/(?:href|src)="([^"]*\/static\/[^"]+)"/g)].map((found) => found[1]);
  await Promise.all(parts.map(async (part) => (await cache.match(part)) || cache.add(part)));
  await cache.put(OWNER, new Response(owner));
  await cache.delete(place(url));
  await cache.put(place(url), new Response(html.replace('id="prices"', 'id="prices" data-offline="1"'), { headers }));
  const pages = (await cache.keys()).filter((one) => place(one.url));
  await Promise.all(pages.slice(0, Math.max(0, pages.length - MOST)).map((one) => cache.delete(one)));
  return undefined;
}

async function kept(url) {
  const found = await (await caches.open(NAME)).match(place(url));
  return found && Date.now() - Number(found.headers.get("X-Kept-At")) < OLDEST ? found : undefined;
}

async function fetched(url) {
  try {
    await keep(url, await fetch(url, { headers: { Accept: "text/html" }, credentials: "same-origin", redirect: "manual" }));
  } catch {
    // no network: what is kept stays
  }
}

async function form(event) {
  const url = event.request.url;
  const network = fetch(event.request);
  event.waitUntil(network.then((answer) => keep(url, answer.clone())).catch(() => undefined));
  const copy = await kept(url);
  if (!copy) return network;
  const late = new Promise((_, tooLate) => {
    setTimeout(() => tooLate(new Error("late")), PATIENCE);
  });
  try {
    const answer = await Promise.race([network, late]);
    return answer.status >= 502 && answer.status <= 504 ? copy : answer;
  } catch {
    return copy;
  }
}

async function part(request) {
  return (await caches.match(request, { cacheName: NAME })) || fetch(request);
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== NAME);
      const pages = [];
      for (const name of old) {
        pages.push(...(await (await caches.open(name)).keys()).map((one) => one.url).filter(place));
        await caches.delete(name);
      }
      await self.clients.claim();
      await Promise.all(pages.slice(-MOST).map(fetched)); // the forms of before, as this build makes them
    })(),
  );
});
self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  if (event.request.mode === "navigate") {
    if (place(event.request.url)) event.respondWith(form(event));
  } else if (new URL(event.request.url).pathname.includes("/static/")) {
    event.respondWith(part(event.request));
  }
});
self.addEventListener("message", (event) => {
  if (event.data && event.data.keep && place(event.data.keep)) event.waitUntil(fetched(event.data.keep));
});
