// A shorter answer, where the balance does not cover a long one. A shorter chat, where the model cannot read a long one.

import {button, credits} from "./dom.js";
import {send} from "./stream.js";

/** A button that asks for what the balance covers. Null: for nothing of use. @param {import("./chat.js").Chat} chat @param {number} available */
export async function shorter(chat, available) {
  const tokens = await affordableTokens(chat.order(), available);
  return tokens ? button(`Shorten to ${credits(tokens)} tokens`, () => {
    chat.settings?.set("max_tokens", tokens);
    chat.answer();
  }) : null;
}

/**
 * How many tokens of an answer the balance covers, as a round number. 0: too few to be of use.
 * @param {Record<string, any>} order
 * @param {number} available
 */
async function affordableTokens(order, available) {
  const quote = await (await send("/api/billing/quote/", {...order, max_credits: undefined})).json().catch(() => null);
  const rate = Number(quote?.price.rates?.output ?? 0) / 1000, limit = quote?.bounds?.output_limit ?? 0;
  const over = quote ? quote.credits.held - available : 0;
  if (!rate || !limit || over <= 0) return 0;
  const tokens = Math.floor((limit - over / rate) / 10) * 10;
  return tokens >= 20 ? tokens : 0;
}

/** Leaves out the oldest question with its answer. @param {import("./chat.js").Chat} chat */
export function dropOldest(chat) {
  const {messages} = chat.memory, next = messages.findIndex(({role}, at) => at > 0 && role === "user");
  if (next > 0) messages.splice(0, next);
  chat.showAll().then(() => chat.answer());
}
