// How scripts of pages call the API: JSON goes in, JSON comes out, and an error is what its envelope says.

const UNAUTHORIZED = 401;

/** An error of the API. `status` 0: no answer came. */
export class Fault extends Error {
  /** @param {number} status @param {Record<string, any>} error the `error` of the envelope @param {number?} retryAfter seconds */
  constructor(status, error, retryAfter = null) {
    super(error.message ?? "The request could not be served.");
    this.status = status;
    this.code = error.code ?? null;
    this.param = error.param ?? null;
    this.more = error;
    this.retryAfter = retryAfter;
  }
}

/**
 * Calls an endpoint and returns its JSON, or null where it has none. Throws `Fault`; an `AbortError` goes through.
 * @param {string} path
 * @param {{method?: string, body?: unknown, headers?: Record<string, string>, signal?: AbortSignal}} options `body` is sent as JSON
 * @returns {Promise<any>}
 */
export async function call(path, options = {}) {
  const answer = await send(path, options);
  return answer.headers.get("content-type")?.includes("json") ? answer.json() : null;
}

/**
 * Calls an endpoint and returns the answer, such as a stream. Throws `Fault` for an error, as `call` does.
 * @param {string} path
 * @param {{method?: string, body?: unknown, headers?: Record<string, string>, signal?: AbortSignal}} options
 */
export async function send(path, {method, body, headers, signal} = {}) {
  const written = body === undefined ? undefined : JSON.stringify(body);
  const types = written === undefined ? {} : {"content-type": "application/json"};
  let answer;
  try {
    answer = await fetch(path, {method: method ?? (written === undefined ? "GET" : "POST"), body: written, headers: {...types, ...headers}, signal});
  } catch (problem) {
    if (problem instanceof DOMException && problem.name === "AbortError") throw problem;
    throw new Fault(0, {message: navigator.onLine ? "The server did not answer. Try again." : "You are offline. Your text stays here."});
  }
  if (!answer.ok) throw await faultOf(answer);
  return answer;
}

/** Reads the error of an answer. Whoever was signed in and no longer is sees it on the page. @param {Response} answer */
export async function faultOf(answer) {
  const error = await answer.json().then((body) => body.error, () => null);
  const seconds = Number(answer.headers.get("retry-after"));
  if (answer.status === UNAUTHORIZED && document.querySelector('form[action="/sign-out"]')) signedOut();
  return new Fault(answer.status, error ?? {}, seconds || null);
}

/** Says that the session has ended, and leads to its form in another tab: what was written here stays. */
export function signedOut() {
  if (document.querySelector(".signed-out")) return;
  const notice = document.createElement("div"), text = document.createElement("p"), link = document.createElement("a");
  notice.className = "signed-out note wait";
  notice.setAttribute("role", "alert");
  text.textContent = "You are signed out. Your text is still here.";
  Object.assign(link, {className: "button second small", href: "/sign-in", target: "_blank", rel: "noopener", textContent: "Sign in, in a new tab"});
  link.addEventListener("click", () => notice.remove());
  notice.append(text, link);
  document.body.append(notice);
}
