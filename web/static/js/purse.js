// The purse beside the page: credits to spend, and what is held.

import {credits, element, fill} from "./dom.js";
import {get} from "./stream.js";

const CREDITS_PER_CENT = 1000;
/** What is shown as held by the answer that is being written. */
let set = 0;

/** Reads and shows what the account has. */
export async function refresh() {
  const limit = await get("/api/chat/limit/").catch(() => null);
  if (!limit || limit.anonymous) return limit?.anonymous ?? null;
  set = 0;
  for (const purse of document.querySelectorAll(".purse")) show(purse, limit.balance, limit.held);
  return null;
}

/** Shows what an answer holds, until the purse is read again. @param {number} held */
export function holds(held) {
  const more = held - set;
  for (const purse of document.querySelectorAll(".purse")) show(purse, amount(purse, "b") - more, amount(purse, ".held") + more);
  set = held;
}

/** @param {Element} purse @param {string} place */
function amount(purse, place) {
  return Number(purse.querySelector(place)?.textContent?.replace(/\D/g, "") ?? 0);
}

/** @param {Element} purse @param {number} balance @param {number} held */
function show(purse, balance, held) {
  const dollars = Math.floor(balance / CREDITS_PER_CENT) / 100;
  const [left, worth, bar, foot] = [purse.querySelector("b"), purse.querySelector("small"), purse.querySelector(".bar"), purse.querySelector(".row:last-child")];
  if (left) left.textContent = credits(balance);
  if (worth) worth.textContent = `$${dollars.toLocaleString("en-US", {minimumFractionDigits: 2})}`;
  if (bar) fill(bar, [["own", balance], ["wait", held]], balance + held);
  purse.querySelector(".held")?.remove();
  if (held) foot?.append(element("small", {class: "num held"}, `${credits(held)} held`));
}
