// What the account has, beside the page: credits to spend, and what is held. When they are shown anew, `funds` happens.

import {credits, element, fill} from "./dom.js";
import {get} from "./stream.js";

const CREDITS_PER_CENT = 1000;

let reads = 0;

/** Reads and shows what the account has, unless it was asked for again meanwhile. */
export async function refresh() {
  const own = ++reads, limit = await get("/api/chat/limit/").catch(() => null);
  if (!limit || limit.anonymous || own < reads) return limit?.anonymous ?? null;
  for (const funds of document.querySelectorAll(".funds")) show(funds, limit.balance, limit.held);
  document.dispatchEvent(new Event("funds"));
  return null;
}

/** @param {Element} funds @param {number} balance @param {number} held */
function show(funds, balance, held) {
  const dollars = Math.floor(balance / CREDITS_PER_CENT) / 100;
  const [amount, worth, bar, foot] = [funds.querySelector("b"), funds.querySelector("small"), funds.querySelector(".bar"), funds.querySelector(".row:last-child")];
  if (amount) amount.textContent = credits(balance);
  if (worth) worth.textContent = `$${dollars.toLocaleString("en-US", {minimumFractionDigits: 2})}`;
  if (bar) fill(bar, [["own", balance], ["wait", held]], balance + held);
  funds.querySelector(".held")?.remove();
  if (held) foot?.append(element("small", {class: "num held"}, `${credits(held)} held`));
}
