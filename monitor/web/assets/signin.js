// Nobody is signed in on this page: the price form that was kept for the last person here goes (entry-worker.js).
if ("caches" in window) {
  caches.keys().then((names) => names.filter((name) => name.startsWith("entry-form:")).forEach((name) => caches.delete(name)), () => undefined);
}
