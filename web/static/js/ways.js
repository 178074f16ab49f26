// The ways on from what went wrong, as buttons and links.

import {button, element} from "./dom.js";
import {key} from "./memory.js";
import {affordableTokens} from "./quote.js";

export * from "./sentences.js";

/** @typedef {import("./chat.js").Chat} Chat */
/** @typedef {{failure?: import("./stream.js").Refused, once: string, text: string}} Case `text`: the question, when it went back into the composer. */

/** @param {Chat} chat @param {import("./sentences.js").Sentence} what @param {Case} about @returns {(HTMLElement | null)[]} */
export function ways(chat, what, about) {
  return what.ways.map((way, at) => MAKE[way]?.(chat, about, at === 0 && what.kind === "good") ?? null);
}

const back = () => encodeURIComponent(location.pathname);

/** @type {Record<string, (chat: Chat, about: Case, first: boolean) => HTMLElement | null>} */
const MAKE = {
  again: (chat, {once}) => button("Try again", () => chat.answer(once || key())),
  choose: (chat) => button("Choose another model", () => chat.picker?.open()),
  shorten,
  raise: (chat, {failure}) => {
    const required = failure?.more.required ?? 0;
    return button(`Allow ${required.toLocaleString("en-US")}`, () => {
      chat.settings?.set("max_credits", required);
      chat.answer();
    });
  },
  drop: (chat) => button("Drop the oldest messages", () => chat.dropOldest()),
  stop: (chat) => button("Stop", () => chat.note(
    {kind: "", icon: "stop", title: "This question is not sent.", text: ""},
    [button("Ask again", () => chat.answer())],
  )),
  online: (chat, {text}) => {
    const made = button("Send when I am back", () => {
      made.disabled = true;
      addEventListener("online", () => chat.ask(chat.composer.text || text), {once: true});
    });
    return made;
  },
  copy: (_, {failure}) => button("Copy the number", () => navigator.clipboard.writeText(failure?.request ?? "")),
  credits: (chat) => ("plan" in chat.dataset ? link("/plan", "Add credits") : null),
  plans: (chat) => ("plan" in chat.dataset ? link("/plan", "See plans") : null),
  studio: (chat) => ("activity" in chat.dataset ? link("/activity", "See what runs") : null),
  "sign-up": (_, __, first) => link(`/sign-up?next=${back()}`, "Create account", first),
  "sign-in": () => link(`/sign-in?next=${back()}`, "Sign in"),
};

/** A shorter answer that the balance covers, if it covers one of use. @param {Chat} chat @param {Case} about */
function shorten(chat, {failure}) {
  const made = button("Shorten", () => {});
  made.hidden = true;
  affordableTokens(chat.order(), failure?.more.available ?? 0).then((tokens) => {
    if (!tokens) return made.remove();
    made.hidden = false;
    made.replaceChildren(`Shorten to ${tokens.toLocaleString("en-US")} tokens`);
    made.addEventListener("click", () => {
      chat.settings?.set("max_tokens", tokens);
      chat.answer();
    });
  }, () => made.remove());
  return made;
}

/** @param {string} href @param {string} label @param {boolean} [first] */
function link(href, label, first = false) {
  return element("a", {class: `button small${first ? "" : " second"}`, href}, label);
}
