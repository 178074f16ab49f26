// Times that read "2 minutes ago" go on being true while the page is open. `web/numbers.py` writes them the same way.

const UNITS = [[31_536_000, "year"], [2_592_000, "month"], [86_400, "day"], [3_600, "hour"], [60, "minute"]];
const EACH_MS = 30_000;

/** Writes the distance to a time, such as `2 minutes ago` and `in 45 days`. @param {Date} when @param {Date} now */
export function relative(when, now) {
  const seconds = (when.getTime() - now.getTime()) / 1000, ahead = seconds > 0;
  for (const [size, unit] of UNITS) {
    const exact = Math.abs(seconds) / Number(size);
    if (exact < (ahead && unit !== "minute" ? 2 : 1)) continue;
    const count = Math.floor(exact + (ahead ? 0.5 : 0)), text = `${count} ${unit}${count === 1 ? "" : "s"}`;
    return ahead ? `in ${text}` : `${text} ago`;
  }
  return ahead ? "in a moment" : "just now";
}

/** A `<time>` inside of it reads relatively. */
class Time extends HTMLElement {
  connectedCallback() { shown.add(this); }
  disconnectedCallback() { shown.delete(this); }
}

/** @type {Set<HTMLElement>} */
const shown = new Set();

function refresh() {
  if (document.hidden) return;
  for (const element of shown) {
    const time = element.querySelector("time");
    if (!time) continue;
    const text = relative(new Date(time.dateTime), new Date());
    if (time.textContent !== text) time.textContent = text;
  }
}

customElements.define("yout-time", Time);
setInterval(refresh, EACH_MS);
document.addEventListener("visibilitychange", refresh);
