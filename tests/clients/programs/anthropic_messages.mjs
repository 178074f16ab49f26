// The official Anthropic SDK for Node.js over Messages.
import Anthropic from "@anthropic-ai/sdk";
import * as facts from "./facts.mjs";

const baseURL = facts.BASE_URL.replace(/\/v1$/, "");
const client = new Anthropic({ apiKey: facts.KEY, baseURL, maxRetries: 0 });
const model = facts.MODEL;
const user = (content) => [{ role: "user", content }];
const create = (messages, more = {}) => client.messages.create({ model, messages, max_tokens: 500, ...more });
const tools = [{ name: "get_weather", description: "The weather", input_schema: facts.WEATHER_SCHEMA }];

await facts.report({
  chat: async () => (await create(user(facts.QUESTION))).content[0].text,
  stream: () => client.messages.stream({ model, messages: user(facts.QUESTION), max_tokens: 500 }).finalText(),
  tool: async () => {
    const messages = user(facts.WEATHER);
    const answer = await client.messages.stream({ model, messages, max_tokens: 500, tools }).finalMessage();
    const use = answer.content.find((block) => block.type === "tool_use");
    const result = { type: "tool_result", tool_use_id: use.id, content: facts.weather("Paris") };
    messages.push({ role: "assistant", content: answer.content }, { role: "user", content: [result] });
    return { arguments: use.input, final: (await create(messages, { tools })).content[0].text };
  },
  structured: async () => {
    const format = { type: "json_schema", schema: facts.PERSON_SCHEMA };
    return (await create(user("Who?"), { output_config: { format } })).content[0].text;
  },
  image: async () => {
    const source = { type: "base64", media_type: "image/png", data: facts.PNG };
    const parts = [
      { type: "text", text: "What is it?" },
      { type: "image", source },
    ];
    return (await create(user(parts))).content[0].text;
  },
  cancel: async () => {
    const events = await create(user(facts.COUNT), { stream: true });
    let count = 0;
    for await (const event of events) if (event.type === "content_block_delta" && ++count === 4) break;
    return count;
  },
  models: async () => {
    const ids = [];
    for await (const listed of client.models.list()) ids.push(listed.id);
    return ids;
  },
  tokens: async () => (await client.messages.countTokens({ model, messages: user(facts.QUESTION) })).input_tokens,
  wrong_model: () => facts.errorOf(() => create(user("x"), { model: "no-such-model" })),
  wrong_key: () => facts.errorOf(() => client.withOptions({ apiKey: "sk-wrong" }).models.list()),
});
