// One question on its way: reads the stream of its answer, and what that cost.

import {Failure, events, send, settled} from "./stream.js";

/** @typedef {import("./thread.js").AnswerView} AnswerView */
/**
 * What a turn tells of: its text, the hold, what is left of a visitor's day.
 * @typedef {{signal: AbortSignal, once?: string, painted: () => void, text?: (text: string) => void, held: (credits: number) => void, allowance: (left: any) => void}} Hooks
 */

/** The part that writes answers: it comes with the first one. @type {Promise<typeof import("./answer.js")> | null} */
let renderer = null;

export function writing() {
  renderer ??= import("./answer.js");
  renderer.catch(() => { renderer = null; });
  return renderer;
}

/** Colours the code in finished elements, if there is any. @param {Element[]} elements */
export function coloured(elements) {
  if (elements.some((one) => one.matches(".code") || one.querySelector(".code"))) import("./highlight.js").then(({colour}) => colour(elements)).catch(() => {});
}

/**
 * Asks, and writes the answer into its view. How that ended is in `view.answer.ended`, or in `view.failure`.
 * @param {AnswerView} view
 * @param {object} order
 * @param {Hooks} hooks
 */
export async function run(view, order, hooks) {
  const {answer} = view, written = writing();
  try {
    const streamed = await send("/api/chat/stream/", {...order, stop_on_disconnect: true}, hooks);
    const {Writer} = await written;
    const writer = new Writer(view.prose, hooks.painted, coloured);
    try {
      for await (const event of events(streamed)) take(event, view, writer, hooks);
      if (answer.ended === "writing") answer.ended = "lost";
    } finally {
      writer.end();
    }
  } catch (error) {
    if (hooks.signal.aborted) [answer.ended, answer.place] = ["stopped", answer.goes];
    else if (error instanceof Failure) view.failure = error.refused;
    else answer.ended = "lost";
  }
  view.ends();
}

/** @param {Record<string, any>} event @param {AnswerView} view @param {import("./answer.js").Writer} writer @param {Hooks} hooks */
function take(event, view, writer, hooks) {
  const {answer} = view;
  switch (event.type) {
    case "start":
      answer.id = event.id;
      answer.goes = event.conversation_id;
      holds(event.held, view, hooks);
      break;
    case "hold":
      holds(event.held, view, hooks);
      break;
    case "delta":
      view.writes(event.text);
      hooks.text?.(event.text);
      writer.push(event.text);
      break;
    case "reasoning":
      view.thinks(event.text);
      break;
    case "done": case "error":
      ends(event, view, hooks);
  }
}

/** @param {number} held @param {AnswerView} view @param {Hooks} hooks */
function holds(held, view, hooks) {
  view.answer.held = held;
  view.held();
  hooks.held(held);
}

/** @param {Record<string, any>} event @param {AnswerView} view @param {Hooks} hooks */
function ends(event, {answer}, hooks) {
  answer.ended = event.type === "error" ? "broken" : event.finish_reason === "length" ? "length" : "";
  answer.charged = event.credits_charged ?? null;
  if (answer.charged !== null) answer.place = event.conversation_id ?? "";
  answer.held = event.held ?? answer.held;
  answer.input = event.usage?.prompt_tokens ?? 0;
  answer.output = event.usage?.completion_tokens ?? 0;
  if (event.anonymous) hooks.allowance(event.anonymous);
}

/** Asks for the charge of an answer that was cut off, until it is settled, and whether the answer is saved. @param {AnswerView} view */
export async function settle(view) {
  const {answer} = view;
  view.costs();
  const charge = await settled(answer.id);
  if (!charge) return;
  answer.held = charge.credits.held;
  answer.charged = charge.credits.charged;
  answer.input = charge.usage?.input_tokens ?? 0;
  answer.output = charge.usage?.output_tokens ?? 0;
  if (answer.goes) answer.place = await import("./saved.js").then(({placeOf}) => placeOf(answer)).catch(() => undefined);
}
