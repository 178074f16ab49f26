// The ways on from what went wrong, as buttons and links.

import {button, element} from "./dom.js";
import {key} from "./memory.js";
import {get} from "./stream.js";

/** @typedef {import("./chat.js").Chat} Chat */
/** @typedef {{failure?: import("./stream.js").Refused, once?: string, text?: string}} Case `text`: the question, when it went back into the composer. */

/** @param {Chat} chat @param {import("./sentences.js").Sentence} what @param {Case} about @returns {(HTMLElement | null)[]} */
export function ways(chat, what, about) {
  return what.ways.map((way, at) => MAKE[way]?.(chat, about, at === 0 && what.kind === "good") ?? null);
}

const back = () => encodeURIComponent(location.pathname);

/** @type {Record<string, (chat: Chat, about: Case, first: boolean) => HTMLElement | null>} */
const MAKE = {
  again: (chat, {once}) => button("Try again", () => chat.answer(once || key())),
  choose: (chat) => choose(chat, "another"),
  cheaper: (chat) => choose(chat, "a cheaper"),
  longer: (chat) => choose(chat, "a longer"),
  nearest: (chat) => {
    const names = element("span", {class: "tags"});
    import("./near.js").then(({near}) => names.append(...near(chat)), () => names.remove());
    return names;
  },
  shorten,
  raise: (chat, {failure}) => {
    const required = failure?.more.required ?? 0;
    return button(`Allow ${required.toLocaleString("en-US")}`, () => {
      chat.settings?.set("max_credits", required);
      chat.answer();
    });
  },
  drop: (chat) => (chat.conversation ? null : button("Drop the oldest messages", async () => (await import("./shorten.js")).dropOldest(chat))),
  stop: (chat) => button("Stop", () => chat.note(
    {kind: "", icon: "stop", title: "This question is not sent.", text: ""},
    [button("Ask again", () => chat.answer())],
  )),
  online: (chat, {text}) => {
    const control = button("Send when I am back", () => {
      control.disabled = true;
      addEventListener("online", () => {
        if (!control.isConnected) return;
        if (chat.draft) chat.ask(chat.composer.text, chat.composer.files);
        else if (!text) chat.answer();
      }, {once: true});
    });
    return control;
  },
  copy: (_, {failure}) => button("Copy the number", () => navigator.clipboard.writeText(failure?.request ?? "")),
  credits: (chat) => ("plan" in chat.dataset ? link("/plan", "Add credits") : null),
  plans: (chat) => ("plan" in chat.dataset ? link("/plan", "See plans") : null),
  studio: (chat) => ("activity" in chat.dataset ? running() : null),
  "sign-up": (_, __, first) => link(`/sign-up?next=${back()}`, "Create account", first),
  "sign-in": () => link(`/sign-in?next=${back()}`, "Sign in"),
};

/** A shorter answer that the balance covers, if it covers one of use. @param {Chat} chat @param {Case} about */
function shorten(chat, {failure}) {
  const place = element("span", {hidden: true});
  import("./shorten.js").then(({shorter}) => shorter(chat, failure?.more.available ?? 0)).then((control) => place.replaceWith(control ?? ""), () => place.remove());
  return place;
}

/** @param {Chat} chat @param {string} which */
function choose(chat, which) {
  return button(`Choose ${which} model`, () => chat.picker?.open());
}

/** What holds the credits: the job that runs, if it is one alone. */
function running() {
  const control = link("/activity", "See what runs");
  get("/api/media/jobs/?status=running&limit=2").then(({data: [job, other]}) => {
    if (!job || other) return;
    control.textContent = `Watch the ${job.kind}`;
    control.setAttribute("href", `/studio/jobs/${job.job_uuid}`);
  }, () => {});
  return control;
}

/** @param {string} href @param {string} label @param {boolean} [first] */
function link(href, label, first = false) {
  return element("a", {class: `button small${first ? "" : " second"}`, href}, label);
}
