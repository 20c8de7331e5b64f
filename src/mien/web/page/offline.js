/** The service worker's page side: keeps the app for use without a network, and tells how far that is. */

/**
 * Register it, and wait until everything is kept, so that nothing is fetched twice.
 * @param {(done: number, total: number) => void} onProgress bytes
 * @returns {Promise<"kept" | "impossible" | "failed">} impossible: an insecure address, or a browser without
 */
export async function keepForOffline(onProgress) {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return "impossible";
  const hear = ({ data }) => data?.kept && onProgress(...data.kept);
  serviceWorker.addEventListener("message", hear);
  try {
    const registration = await serviceWorker.register("sw.js");
    if (registration.active) return "kept";
    const starting = registration.installing ?? registration.waiting;
    const state = await new Promise((resolve) => {
      const look = () => ["activated", "redundant"].includes(starting.state) && resolve(starting.state);
      starting.addEventListener("statechange", look);
      look();
    });
    return state === "activated" ? "kept" : "failed";
  } catch {
    return "failed";
  } finally {
    serviceWorker.removeEventListener("message", hear);
  }
}
