// The Vercel AI SDK: its OpenAI provider over Responses, which is its default, and its openai-compatible provider.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import * as facts from "./facts.mjs";

const providers = (apiKey) => ({
  compatible: createOpenAICompatible({
    name: "yout",
    apiKey,
    baseURL: facts.BASE_URL,
    supportsStructuredOutputs: true,
  }),
  responses: createOpenAI({ apiKey, baseURL: facts.BASE_URL }),
});
const schema = z.object({ name: z.string(), born: z.number() });
const settings = { maxRetries: 0 };

const attempts = (kind) => {
  const model = (name = facts.MODEL, key = facts.KEY) => providers(key)[kind](name);
  return {
    text: async () => (await generateText({ ...settings, model: model(), prompt: facts.QUESTION })).text,
    stream: async () => {
      let text = "";
      for await (const part of streamText({ ...settings, model: model(), prompt: facts.QUESTION }).textStream) text += part;
      return text;
    },
    tool: async () => {
      const cities = [];
      const execute = async ({ city }) => {
        cities.push(city);
        return facts.weather(city);
      };
      const get_weather = tool({ description: "The weather", inputSchema: z.object({ city: z.string() }), execute });
      const run = { ...settings, model: model(), prompt: facts.WEATHER, tools: { get_weather }, stopWhen: stepCountIs(3) };
      return { final: (await generateText(run)).text, arguments: { city: cities[0] } };
    },
    structured: async () => (await generateObject({ ...settings, model: model(), schema, prompt: "Who?" })).object,
    image: async () => {
      const content = [
        { type: "text", text: "What is it?" },
        { type: "image", image: Buffer.from(facts.PNG, "base64"), mediaType: "image/png" },
      ];
      return (await generateText({ ...settings, model: model(), messages: [{ role: "user", content }] })).text;
    },
    cancel: async () => {
      const abort = new AbortController();
      let count = 0;
      const run = { ...settings, model: model(), prompt: facts.COUNT, abortSignal: abort.signal };
      try {
        for await (const _ of streamText(run).textStream) if (++count === 4) abort.abort();
      } catch (error) {
        if (error.name !== "AbortError") throw error;
      }
      return count;
    },
    wrong_model: () => facts.errorOf(() => generateText({ ...settings, model: model("no-such-model"), prompt: "x" })),
    wrong_key: () => facts.errorOf(() => generateText({ ...settings, model: model(facts.MODEL, "sk-wrong"), prompt: "x" })),
  };
};

const tried = {};
for (const kind of process.argv.slice(2)) {
  for (const [name, attempt] of Object.entries(attempts(kind))) tried[`${kind}_${name}`] = attempt;
}
await facts.report(tried);
