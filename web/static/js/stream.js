// Asks the API, and reads what it streams.

/** @typedef {{status: number, code: string | null, message: string, param: string | null, after: number, request: string, more: Record<string, any>}} Refused */

/** An answer that is no success. */
export class Failure extends Error {
  /** @param {Refused} refused */
  constructor(refused) {
    super(refused.message);
    this.refused = refused;
  }
}

/** @param {Response} answer @returns {Promise<Refused>} */
async function errorOf(answer) {
  const body = await answer.json().catch(() => ({}));
  const {message = "", code = null, param = null, ...more} = body.error ?? {};
  const after = Number(answer.headers.get("retry-after")) || 0;
  return {status: answer.status, code, message, param, after, request: answer.headers.get("x-request-id") ?? "", more};
}

/**
 * Sends JSON and returns the answer. Throws `Failure`.
 * @param {string} path
 * @param {object} body
 * @param {{once?: string, signal?: AbortSignal}} [how] `once`: the same again is done and charged once.
 */
export async function send(path, body, how = {}) {
  /** @type {Record<string, string>} */
  const headers = {"content-type": "application/json"};
  if (how.once) headers["idempotency-key"] = how.once;
  const answer = await fetch(path, {method: "POST", headers, body: JSON.stringify(body), signal: how.signal});
  if (!answer.ok) throw new Failure(await errorOf(answer));
  return answer;
}

/** @param {string} path */
export async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Failure(await errorOf(answer));
  return answer.json();
}

/**
 * Yields the JSON of each event of a stream. Throws when the connection breaks.
 * @param {Response} answer
 */
export async function* events(answer) {
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    for (const part of parts) if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
  }
}

const FIRST_WAIT_MS = 250;
const TRIES = 8;

/** Returns a charge when it is settled, or null if it does not become so. @param {string} id */
export async function settled(id) {
  for (let tried = 0; tried < TRIES; tried++) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(FIRST_WAIT_MS * 2 ** tried, 8000)));
    try {
      const charge = await get(`/api/billing/charges/${encodeURIComponent(id)}/`);
      if (charge.state !== "open") return charge;
    } catch (error) {
      if (error instanceof Failure && error.refused.status === 401) return null;
    }
  }
  return null;
}
