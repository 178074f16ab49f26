// The official OpenAI SDK for Node.js over chat completions.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import * as facts from "./facts.mjs";

const client = new OpenAI({ apiKey: facts.KEY, baseURL: facts.BASE_URL, maxRetries: 0 });
const model = facts.MODEL;
const user = (content) => [{ role: "user", content }];
const create = (messages, more = {}) => client.chat.completions.create({ model, messages, ...more });
const tools = [
  { type: "function", function: { name: "get_weather", description: "The weather", parameters: facts.WEATHER_SCHEMA } },
];

await facts.report({
  chat: async () => (await create(user(facts.QUESTION))).choices[0].message.content,
  stream: async () => {
    let text = "";
    for await (const chunk of await create(user(facts.QUESTION), { stream: true })) {
      text += chunk.choices[0]?.delta?.content ?? "";
    }
    return text;
  },
  tool: async () => {
    const messages = user(facts.WEATHER);
    const { message } = (await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion()).choices[0];
    const [call] = message.tool_calls;
    messages.push(message, { role: "tool", tool_call_id: call.id, content: facts.weather("Paris") });
    return { arguments: call.function.arguments, final: (await create(messages, { tools })).choices[0].message.content };
  },
  structured: async () => {
    const person = z.object({ name: z.string(), born: z.number() });
    const format = zodResponseFormat(person, "person");
    const answer = await client.chat.completions.parse({ model, messages: user("Who?"), response_format: format });
    return answer.choices[0].message.parsed;
  },
  image: async () => {
    const parts = [
      { type: "text", text: "What is it?" },
      { type: "image_url", image_url: { url: facts.IMAGE_URL } },
    ];
    return (await create(user(parts))).choices[0].message.content;
  },
  cancel: async () => {
    const chunks = await create(user(facts.COUNT), { stream: true });
    let count = 0;
    for await (const _ of chunks) if (++count === 4) break;
    return count;
  },
  models: async () => {
    const ids = [];
    for await (const listed of client.models.list()) ids.push(listed.id);
    return ids;
  },
  wrong_model: () => facts.errorOf(() => create(user("x"), { model: "no-such-model" })),
  wrong_key: () => facts.errorOf(() => client.withOptions({ apiKey: "sk-wrong" }).models.list()),
});
