// The most that the next answer can cost, beside the button, 500 ms after the last keystroke.

import {counted, credits, element} from "./dom.js";
import {send} from "./stream.js";

const AFTER_MS = 500;

export class Quote {
  #shown;
  #timer = 0;
  /** @type {AbortController | null} */
  #abort = null;

  /** @param {HTMLElement} shown where the bound stands */
  constructor(shown) {
    this.#shown = shown;
  }

  /** @param {() => object | null} order what would be sent. Null: there is nothing to price. */
  soon(order) {
    this.cancel();
    this.#timer = setTimeout(() => this.#price(order()), AFTER_MS);
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }

  clear() {
    this.cancel();
    this.#shown.textContent = "";
    this.#shown.classList.remove("bad");
  }

  /** @param {object | null} order */
  async #price(order) {
    if (!order) return this.clear();
    this.#abort = new AbortController();
    try {
      const quote = await (await send("/api/billing/quote/", order, {signal: this.#abort.signal})).json();
      this.#shown.replaceChildren(...bound(quote));
      this.#shown.title = `Held first: ${counted(quote.credits.held, "credit")}. What the answer does not need comes back.`;
      this.#shown.classList.toggle("bad", !quote.affordable);
    } catch (error) {
      if (!(error instanceof DOMException)) this.clear();
    }
  }
}

/** @param {Record<string, any>} quote */
function bound({affordable, balance, credits: {held, at_most: most}, limit_source: source}) {
  const wide = (/** @type {string} */ text) => element("span", {class: "wide-only"}, text);
  if (affordable) return [wide("holds at most "), element("span", {class: "phone-only"}, "≤ "), credits(most)];
  return ["could cost ", credits(held), wide(source === "balance" ? `, you have ${credits(balance)}` : ", more than you allow")];
}
