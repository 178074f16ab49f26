import assert from "node:assert/strict";
import {test} from "node:test";

import MarkdownIt from "../../../../web/static/vendor/markdown-it.esm.min.mjs";
import {Aloud} from "../../../../web/static/js/aloud.js";
import {split} from "../../../../web/static/js/blocks.js";
import {named} from "../../../../web/static/js/code.js";
import {parse} from "../../../../web/static/js/markdown.js";
import {recall, remember, rememberDraft, takeDraft} from "../../../../web/static/js/memory.js";
import {body, priced, turns} from "../../../../web/static/js/messages.js";
import {came, cut, paid, sentence, unreached} from "../../../../web/static/js/sentences.js";
import {omitted} from "../../../../web/static/js/share.js";
import {snippets} from "../../../../web/static/js/snippets.js";

const TEXT = `# Title

One *paragraph*
of two lines.

1. first

2. second
   - inner

| a | b |
|---|---|
| 1 | 2 |

\`\`\`python
x = 1

y = 2
\`\`\`
> quote
lazy

Setext
===

***
last`;

const markdown = new MarkdownIt({html: false});

/** Streams a text in pieces, as an answer does. */
function streamed(text, size) {
  let rest = "", html = "", open = [];
  const touched = [];
  for (let at = 0; at < text.length; at += size) {
    const step = split(rest + text.slice(at, at + size), (piece) => markdown.parse(piece, {}));
    for (const block of step.finished) html += markdown.renderer.render(block.tokens, markdown.options, {});
    touched.push(step.finished.length);
    ({rest, open} = step);
  }
  for (const block of open) html += markdown.renderer.render(block.tokens, markdown.options, {});
  return html;
}

test("pieces of every size give what the whole text gives", () => {
  for (const size of [1, 2, 3, 5, 8, 13, 40, 1000]) assert.equal(streamed(TEXT, size), markdown.render(TEXT), `size ${size}`);
});

test("finished blocks leave the rest", () => {
  const {finished, rest} = split("one\n\ntwo\n\nthr", (text) => markdown.parse(text, {}));
  assert.equal(finished.length, 0);
  assert.equal(rest, "one\n\ntwo\n\nthr");
  const later = split("one\n\ntwo\n\nthree\n", (text) => markdown.parse(text, {}));
  assert.equal(later.finished.length, 2);
  assert.equal(later.rest, "three\n");
});

const about = {model: "GPT", account: true, offer: "it comes with 50,000 credits, once for each mailbox", limit: "20"};
const refused = (code, more = {}, status = 400) => ({status, code, message: "So it is.", param: null, after: 3, request: "req_1", more});

test("every refusal says what happened, and what it did to the money", () => {
  const short = sentence(refused("insufficient_credits", {required: 1324, available: 310, held: 0, limit_source: "balance"}), about);
  assert.equal(short.title, "This answer could cost 1,324 credits. You have 310.");
  assert.deepEqual(short.ways, ["shorten", "cheaper", "credits"]);
  const held = sentence(refused("insufficient_credits", {required: 1324, available: 310, held: 5000, limit_source: "balance"}), about);
  assert.match(held.title, /hold 5,000 of your credits/);
  const day = sentence(refused("insufficient_credits", {limit_source: "anonymous_allowance", resets_at: "2026-12-01T00:00:00Z"}), {...about, account: false});
  assert.equal(`${day.title} ${day.text}`, "Those were your 20 free messages for today. More from 00:00 UTC, or now with an account: it comes with 50,000 credits, once for each mailbox.");
  const often = sentence({...refused("rate_limit_exceeded", {}, 429), message: "This account may have 60 requests per minute."}, about);
  assert.deepEqual([often.title, often.wait, often.ways], ["You asked 60 times this minute, which is your limit.", 3, ["stop"]]);
  const once = sentence({...refused("rate_limit_exceeded", {}, 429), message: "This account may have 1 request per minute."}, about);
  assert.equal(once.title, "You asked once this minute, which is your limit.");
  const one = sentence(refused("insufficient_credits", {required: 1, available: 0, held: 0, limit_source: "balance"}), about);
  assert.equal(one.title, "This answer could cost 1 credit. You have 0.");
  const long = sentence({...refused("context_length_exceeded"), message: "The context window of this model is 32768 tokens (context_length_exceeded)."}, about);
  assert.equal(long.title, "This chat is longer than the model can read (32,768 tokens).");
  const unknown = sentence({...refused("model_not_found", {}, 404), message: "The model 'x' does not exist or is not active here."}, about);
  assert.deepEqual([unknown.title, unknown.ways], ["This server has no model “x”.", ["nearest", "choose"]]);
  assert.equal(sentence(refused("invalid_api_key", {}, 401), about).back, true);
  const busy = "Too many large requests are under way here. Wait a moment, and try again.";
  assert.equal(sentence({...refused("service_unavailable", {}, 503), message: busy}, about).title, busy);
  assert.match(sentence({...refused("service_unavailable", {}, 503), message: "The ledger is away for the moment."}, about).title, /^We cannot reach our books/);
  const ended = sentence({...refused("unsupported_parameter"), param: "Idempotency-Key"}, about);
  assert.deepEqual([ended.title, ended.ways, ended.back], ["You are signed out.", ["sign-in"], true]);
  assert.match(sentence(refused("internal_error", {}, 500), about).text, /req_1/);
  assert.equal(sentence(refused("something_new"), about).title, "So it is.");
  assert.equal(unreached(false, true).ways[0], "online");
});

test("a cut answer says what was paid", () => {
  assert.equal(paid("broken", 96, {charged: 112, held: 1324}), "You paid for the 96 words above: 112 credits. The other 1,212 came back.");
  assert.equal(paid("stopped", 9, {charged: 61, held: 61}), "61 credits for what you have.");
  assert.equal(cut("stopped").title, "Stopped.");
  assert.equal(came(214, {free: false, charged: 438, held: 1324}).text, "214 words: 438 credits charged. The other 886 came back.");
  assert.equal(came(1, {free: true, charged: 0, held: 0}).text, "1 word.");
});

test("files go with their question, whole where they are needed", () => {
  const picture = {name: "a.png", kind: "image", size: 3, data: "data:image/png;base64,AAAA"}, gone = {name: "b.pdf", kind: "file", size: 9};
  const messages = [{role: "user", content: "Look.", files: [picture, gone]}, {role: "assistant", content: "So."}, {role: "user", content: "", files: [gone]}];
  assert.deepEqual(turns(messages), [
    {role: "user", content: [{type: "text", text: "Look."}, {type: "image_url", image_url: {url: picture.data}}]},
    {role: "assistant", content: "So."},
  ]);
  assert.ok(JSON.stringify(turns(messages, named)).includes("<base64 of a.png>"));
  assert.ok(!JSON.stringify([turns(messages, priced), turns(messages, omitted)]).includes("AAAA\""));
});

test("a system prompt goes to the model, and into a kept chat once", () => {
  const messages = [{role: "user", content: "One."}, {role: "assistant", content: "Two."}, {role: "user", content: "Three."}];
  const sent = (conversation, system, saved) => body({model: "m", conversation, messages, chosen: {system, temperature: 1}, save: {}, saved});
  const roles = (order) => order.messages.map(({role}) => role).join(" ");
  assert.equal(roles(sent("", "Be brief.", "")), "system user assistant user");
  assert.equal(roles(sent("c", "Be brief.", "")), "system user", "it is new there");
  assert.equal(roles(sent("c", "Be brief.", "Be brief.")), "user", "the server has it");
  assert.equal(roles(sent("c", "Be loud.", "Be brief.")), "system user", "it has changed");
  assert.deepEqual(sent("c", undefined, "Be brief.").messages[0], {role: "system", content: ""}, "it has been cleared");
  assert.equal(roles(sent("c", undefined, "")), "user");
  assert.equal(roles(sent("", undefined, "")), "user assistant user");
  const {conversation_id: id, temperature, ...others} = sent("c", "Be brief.", "");
  assert.deepEqual([id, temperature, "system" in others], ["c", 1, false]);
});

test("a text that takes too much work is plain, and marks are not nested for ever", () => {
  const bomb = `${"|a".repeat(2000)}|\n${"|-".repeat(2000)}|\n${"|a\n".repeat(200)}`;
  assert.deepEqual(parse(bomb, {}).map(({type}) => type), ["paragraph_open", "inline", "paragraph_close"]);
  assert.equal(parse(bomb, {})[1].children[0].content, bomb);
  const marks = parse(`${"*a **b ".repeat(60)}${"** *".repeat(60)}`, {})[1].children;
  let depth = 0;
  for (const {nesting} of marks) assert.ok((depth += nesting) <= 20);
});

test("whole sentences are read out, without marks", () => {
  const read = [], aloud = new Aloud((text) => read.push(text));
  for (const piece of ["# A title\n", "One **sen", "tence**. Two", "", " of them.\n\n", "- `three`", ": it"]) aloud.push(piece);
  aloud.end();
  assert.deepEqual(read, ["A title", "One sentence.", "Two of them.", "three:", "it"]);
});

test("code of a request carries every word of it", () => {
  const order = {model: "m", messages: [{role: "user", content: "it's \"so\"\n$HOME"}], temperature: 0.5, max_credits: 9};
  const {curl, Python, Node} = snippets(order, "https://ai.example.com");
  assert.ok(curl.includes("it'\\''s"));
  assert.ok(Python.includes("extra_body={\n        \"max_credits\": 9\n    },"));
  assert.ok(Node.includes("baseURL: \"https://ai.example.com/v1\""));
});

test("a chat of an account, and what it wrote, wait for that account", () => {
  const stored = new Map(), page = {account: ""};
  globalThis.sessionStorage = {getItem: (name) => stored.get(name) ?? null, setItem: (name, text) => stored.set(name, text), removeItem: (name) => stored.delete(name)};
  globalThis.document = {querySelector: () => ({getAttribute: () => page.account || null})};
  const seenBy = (account) => { page.account = account; return [recall().messages.length, takeDraft()]; };
  const written = (account) => { page.account = account; remember({...recall(), messages: [{role: "user", content: "secret"}]}); rememberDraft("more"); };

  written("");
  assert.deepEqual(seenBy("ann"), [1, "more"], "a visitor's goes along");
  written("ann");
  assert.deepEqual(seenBy("bob"), [0, ""]);
  assert.deepEqual(seenBy(""), [0, ""]);
  rememberDraft("");
  assert.deepEqual(seenBy("ann"), [1, "more"]);
  assert.deepEqual(seenBy("ann"), [1, ""], "a draft is taken once");
});
