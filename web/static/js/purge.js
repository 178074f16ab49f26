// Follows a purge each second, and shows the receipt when there is one.

import {call, Fault} from "./api.js";

const EACH_MS = 1000, UNAUTHORIZED = 401;

/** Marks the steps that are done. Without a script, the page loads itself again. */
class Purge extends HTMLElement {
  connectedCallback() {
    this.timer = setTimeout(() => this.look(), EACH_MS);
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
  }

  async look() {
    try {
      this.show(await call(this.getAttribute("address") ?? ""));
    } catch (fault) {
      if (fault instanceof Fault && fault.status === UNAUTHORIZED) return location.reload();
      this.say("The server does not answer. It is tried again, and what was begun goes on.");
    }
    this.timer = setTimeout(() => this.look(), EACH_MS);
  }

  /** @param {{status: string, step: string, erased: Record<string, number>}} purge */
  show(purge) {
    if (purge.status === "completed") return location.reload();
    let done = true;
    for (const step of this.querySelectorAll("[data-step]")) {
      const now = step.getAttribute("data-step") === purge.step;
      if (now) done = false;
      step.className = now ? "is-now" : done ? "is-done" : "";
      if (now) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    }
    const gone = Object.values(purge.erased).reduce((sum, number) => sum + number, 0);
    if (gone) this.say(`${gone.toLocaleString("en")} erased so far.`);
  }

  /** @param {string} words */
  say(words) {
    const output = this.querySelector("output");
    if (output && output.textContent !== words) output.textContent = words;
  }
}

customElements.define("yout-purge", Purge);
