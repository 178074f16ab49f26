// A request as code: curl, Python and Node. Knows no document.

/** @typedef {{model: string, messages: object[]} & Record<string, any>} Order */

/** What OpenAI's clients have no argument for. */
const OURS = ["max_credits"];

/** @param {Order} order @param {string} server @returns {Record<string, string>} */
export function snippets(order, server) {
  return {curl: curl(order, server), Python: python(order, server), Node: node(order, server)};
}

/** @param {Order} order @param {string} server */
function curl(order, server) {
  const body = JSON.stringify({...order, stream: true}, null, 2).replaceAll("'", "'\\''");
  return `curl -N ${server}/v1/chat/completions \\
  -H "Authorization: Bearer $YOUT_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${body}'`;
}

/** @param {Order} order @param {string} server */
function python(order, server) {
  const [known, own] = parted(order);
  const lines = Object.entries(known).map(([name, value]) => `    ${name}=${indented(value)},`);
  if (Object.keys(own).length) lines.push(`    extra_body=${indented(own)},`);
  return `import os

from openai import OpenAI

client = OpenAI(base_url="${server}/v1", api_key=os.environ["YOUT_KEY"])
stream = client.chat.completions.create(
${lines.join("\n")}
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="")`;
}

/** @param {Order} order @param {string} server */
function node(order, server) {
  return `import OpenAI from "openai";

const client = new OpenAI({baseURL: "${server}/v1", apiKey: process.env.YOUT_KEY});
const stream = await client.chat.completions.create(${JSON.stringify({...order, stream: true}, null, 2)});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}`;
}

/** A value of JSON, which is one of Python too while it has no true, false and null. @param {any} value */
function indented(value) {
  return JSON.stringify(value, null, 4).replaceAll("\n", "\n    ");
}

/** @param {Order} order */
function parted(order) {
  const entries = Object.entries(order);
  return [
    Object.fromEntries(entries.filter(([name]) => !OURS.includes(name))),
    Object.fromEntries(entries.filter(([name]) => OURS.includes(name))),
  ];
}
