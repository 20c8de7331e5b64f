/**
 * The service worker: keeps every file of one version, answers from them, and lets nothing else through.
 * The build puts VERSION and FILES (path, bytes, integrity) above this.
 */
/* global VERSION, FILES */
const PREFIX = `mien ${self.registration.scope} `;
const CACHE = PREFIX + VERSION;
const TOTAL = FILES.reduce((sum, [, bytes]) => sum + bytes, 0);

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function keep() {
  const cache = await caches.open(CACHE);
  let done = 0;
  try {
    await Promise.all(FILES.map(async ([path, bytes, integrity]) => {
      // Asked anew with the server, so that no old file of an HTTP cache gets in; the integrity says it is ours.
      const response = await fetch(new Request(path, { cache: "no-cache", integrity }));
      if (!response.ok) throw new Error(`${path}: status ${response.status}`);
      await cache.put(path, response);
      done += bytes;
      await tell(done);
    }));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

async function tell(done) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  for (const page of pages) page.postMessage({ kept: [done, TOTAL] });
}

async function takeOver() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request) {
  if (request.method !== "GET" || !request.url.startsWith(self.registration.scope)) return Response.error();
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request.mode === "navigate" ? "index.html" : request, { ignoreSearch: true });
  return kept ?? fetch(request);
}
