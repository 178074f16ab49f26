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

/**
 * How many tokens of an answer the balance covers, as a round number. 0: too few to be of use.
 * @param {Record<string, any>} order
 * @param {number} available
 */
export async function affordableTokens(order, available) {
  const quote = await (await send("/api/billing/quote/", {...order, max_credits: undefined})).json().catch(() => null);
  const rate = Number(quote?.price.rates?.output ?? 0) / 1000, limit = quote?.bounds?.output_limit ?? 0;
  const over = quote ? quote.credits.held - available : 0;
  if (!rate || !limit || over <= 0) return 0;
  const tokens = Math.floor((limit - over / rate) / 10) * 10;
  return tokens >= 20 ? tokens : 0;
}

/** @param {Record<string, any>} quote */
function bound({affordable, balance, credits: {held, at_most: most}, limit_source: source}) {
  const wide = (/** @type {string} */ text) => element("span", {class: "wide-only"}, text);
  if (affordable) return [wide("holds at most "), element("span", {class: "phone-only"}, "≤ "), credits(most)];
  return ["could cost ", credits(held), wide(source === "balance" ? `, you have ${credits(balance)}` : ", more than you allow")];
}
