// What went wrong, in words: what happened, what it did to the money, and the ways on. Knows no document.

/** @typedef {import("./stream.js").Refused} Refused */
/** @typedef {"shorten" | "choose" | "credits" | "again" | "wait" | "stop" | "sign-in" | "sign-up" | "plans" | "studio" | "drop" | "raise" | "continue" | "copy" | "online" | "cheaper" | "longer" | "nearest"} Way */
/** @typedef {{kind: string, icon: string, title: string, text: string, ways: Way[], wait?: number, goes?: string, back?: boolean}} Sentence `wait`: seconds after which it is sent again, which `goes` says. `back`: the question goes back into the composer. */
/** @typedef {{model: string, account: boolean, offer: string, limit?: string}} About `offer`: what a new account comes with, if anything. `limit`: a visitor's messages a day. */

const NOTHING = "Nothing was sent, and nothing was charged.";
const FREE = "Nothing was charged.";
const FOR_ACCOUNTS = ["save", "conversation_id", "Idempotency-Key"];

/** @param {number} amount */
const number = (amount) => amount.toLocaleString("en-US");

/** @param {number} amount @param {string} [noun] */
const counted = (amount, noun = "credit") => `${number(amount)} ${noun}${amount === 1 ? "" : "s"}`;

/** @param {Refused} refused @param {About} about @returns {Sentence} */
export function sentence(refused, about) {
  if (about.account && asVisitor(refused)) return BY_CODE.invalid_api_key(refused, about);
  const make = BY_CODE[refused.code ?? ""] ?? BY_STATUS[refused.status];
  return make ? make(refused, about) : other(refused);
}

/** Whether a page of an account was answered as one of a visitor: its session has ended. @param {Refused} refused */
function asVisitor({param, more}) {
  return FOR_ACCOUNTS.includes(param ?? "") || more.limit_source === "anonymous_allowance";
}

/** @type {Record<string, (refused: Refused, about: About) => Sentence>} */
const BY_CODE = {
  insufficient_credits: shortage,
  pro_required: (_, {model}) => wait("lock", `${model} needs a plan.`, FREE, ["plans", "choose"]),
  rate_limit_exceeded: ({message, after}) => ({...plain("clock", limited(message), "", ["stop"]), wait: after || 1, goes: "The next question goes out"}),
  context_length_exceeded: ({message}) => wait("alert", `This chat is longer than the model can read${windowOf(message)}.`, FREE, ["drop", "longer"]),
  request_too_large: ({message}) => wait("alert", "This chat is too long to send.", `${message} ${FREE}`, ["drop"]),
  upstream_timeout: () => bad("The provider took too long.", FREE, ["again", "choose"]),
  upstream_error: () => bad("The provider did not answer.", FREE, ["again", "choose"]),
  service_unavailable: ({message, after}) => ({...plain("clock", !message || /database|ledger/.test(message) ? "We cannot reach our books, so we do not start anything." : message, FREE, ["stop"]), wait: after || 2}),
  idempotency_in_flight: ({after}) => ({...plain("clock", "This was sent already, and is still running.", "", ["stop"]), wait: after || 2}),
  purge_in_progress: ({message}) => wait("shield", message, "", ["again"]),
  idempotency_conflict: ({message}) => wait("alert", message, FREE, ["again"]),
  model_not_found: ({message}) => wait("search", `This server has no model “${/'(.*?)'/.exec(message)?.[1] ?? ""}”.`, FREE, ["nearest", "choose"]),
  content_policy_violation: ({message}) => bad(message, FREE, ["choose"]),
  invalid_api_key: (_, {account, model}) =>
    account
      ? {...wait("out", "You are signed out.", "Your text is still here.", ["sign-in"]), back: true}
      : {...wait("lock", `${model} needs an account.`, FREE, ["sign-up", "sign-in", "choose"]), back: true},
};

/** @type {Record<number, (refused: Refused, about: About) => Sentence>} */
const BY_STATUS = {
  500: ({request}) => bad("Something broke on our side.", `${FREE} Tell us this number: ${request}`, ["copy", "again"]),
  502: BY_CODE.upstream_error,
  503: BY_CODE.service_unavailable,
};

/** @param {Refused} refused @param {About} about @returns {Sentence} */
function shortage({more, message}, about) {
  const {required = 0, available = 0, held = 0, limit_source: source = "balance"} = more;
  if (source === "anonymous_allowance") return usedUp(more, about, message.includes("everybody"));
  if (source === "max_credits") {
    const title = `This answer could cost ${counted(required)}. You allow ${number(available)}.`;
    return wait("card", title, NOTHING, ["raise", "shorten", "cheaper"]);
  }
  if (source !== "balance") return wait("card", message, NOTHING, ["shorten", "cheaper"]);
  if (held > 0 && available + held >= required) {
    const title = `Other calls and jobs hold ${number(held)} of your credits.`;
    return wait("clock", title, "What they do not need comes back when they end.", ["studio", "again"]);
  }
  return wait("card", `This answer could cost ${counted(required)}. You have ${number(available)}.`, NOTHING, ["shorten", "cheaper", "credits"]);
}

/** @param {string} message */
function limited(message) {
  const [, limit] = /may have ([\d,]+) requests? per minute/.exec(message) ?? [];
  return limit ? `You asked ${limit === "1" ? "once" : `${limit} times`} this minute, which is your limit.` : message;
}

/** @param {string} message */
function windowOf(message) {
  const [, tokens] = /([\d,]+) tokens \(/.exec(message) ?? [];
  return tokens ? ` (${number(Number(tokens.replaceAll(",", "")))} tokens)` : "";
}

/** @param {Record<string, any>} more @param {About} about @param {boolean} [all] those of everybody @returns {Sentence} */
export function usedUp(more, about, all = false) {
  const most = more.limit ?? about.limit ?? "", limit = `${most} free ${Number(most) === 1 ? "message" : "messages"}`.trim();
  const from = more.resets_at ? `More from ${more.resets_at.slice(11, 16)} UTC, or now with an account` : "More now with an account";
  const text = `${from}${about.offer && `: ${about.offer}`}.`;
  const title = all ? "The free messages of today are used up for everybody." : `Those were your ${limit} for today.`;
  return {kind: "good", icon: "check", title, text, ways: ["sign-up", "sign-in"]};
}

/** No answer came, and nobody knows whether the question arrived. @param {boolean} online @param {boolean} account @returns {Sentence} */
export function unreached(online, account) {
  if (!online) return {...wait("alert", "You are offline.", "Your text stays here.", ["online"]), back: true};
  const once = account ? "If the question arrived, trying again does not charge it twice." : FREE;
  return bad("The server did not answer.", once, ["again"]);
}

/** How an answer ended that did not come to its end. @param {string} how @returns {{kind: string, icon: string, title: string, ways: Way[]}} */
export function cut(how) {
  switch (how) {
    case "stopped": return {kind: "", icon: "stop", title: "Stopped.", ways: ["continue"]};
    case "lost": return {kind: "bad", icon: "alert", title: "The connection broke.", ways: ["continue", "again"]};
    case "left": return {kind: "", icon: "clock", title: "This page was left while the answer was written.", ways: ["continue", "again"]};
    case "length": return {kind: "", icon: "alert", title: "The answer has reached its longest length.", ways: ["continue"]};
    default: return {kind: "bad", icon: "alert", title: "The provider stopped in mid-sentence.", ways: ["continue", "again"]};
  }
}

/** An answer that was completed while nobody looked. @param {number} words @param {{free: boolean, charged: number | null, held: number}} money @returns {Sentence} */
export function came(words, {free, charged, held}) {
  const rest = charged !== null && held > charged ? ` The other ${number(held - charged)} came back.` : "";
  const text = `${counted(words, "word")}${free || charged === null ? "." : `: ${counted(charged)} charged.${rest}`}`;
  return plain("check", "The answer came while you were away.", text, []);
}

/** What a cut answer did to the money. @param {string} how @param {number} words @param {{charged: number, held: number} | null} money */
export function paid(how, words, money) {
  if (!money) return "";
  const rest = money.held > money.charged ? ` The other ${number(money.held - money.charged)} came back.` : "";
  if (how === "stopped") return `${counted(money.charged)} for what you have.${rest}`;
  return `You paid for the ${counted(words, "word")} above: ${counted(money.charged)}.${rest}`;
}

/** @param {Refused} refused @returns {Sentence} */
function other({message}) {
  return bad(message || "This could not be done.", FREE, ["again"]);
}

/** @param {string} icon @param {string} title @param {string} text @param {Way[]} ways @returns {Sentence} */
function plain(icon, title, text, ways) {
  return {kind: "", icon, title, text, ways};
}

/** @param {string} icon @param {string} title @param {string} text @param {Way[]} ways @returns {Sentence} */
function wait(icon, title, text, ways) {
  return {...plain(icon, title, text, ways), kind: "wait"};
}

/** @param {string} title @param {string} text @param {Way[]} ways @returns {Sentence} */
function bad(title, text, ways) {
  return {...plain("alert", title, text, ways), kind: "bad"};
}
