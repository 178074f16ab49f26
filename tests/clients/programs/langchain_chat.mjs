// LangChain's ChatOpenAI for Node.js over chat completions.
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import * as facts from "./facts.mjs";

const model = (name = facts.MODEL, apiKey = facts.KEY) =>
  new ChatOpenAI({ model: name, apiKey, maxRetries: 0, configuration: { baseURL: facts.BASE_URL } });
const getWeather = tool(async ({ city }) => facts.weather(city), {
  name: "get_weather",
  description: "The weather",
  schema: z.object({ city: z.string() }),
});

await facts.report({
  chat: async () => (await model().invoke(facts.QUESTION)).content,
  stream: async () => {
    let text = "";
    for await (const chunk of await model().stream(facts.QUESTION)) text += chunk.content;
    return text;
  },
  tool: async () => {
    const bound = model().bindTools([getWeather]);
    const messages = [new HumanMessage(facts.WEATHER)];
    const answer = await bound.invoke(messages);
    const [call] = answer.tool_calls;
    messages.push(answer, new ToolMessage({ content: await getWeather.invoke(call.args), tool_call_id: call.id }));
    return { arguments: call.args, final: (await bound.invoke(messages)).content };
  },
  structured: () =>
    model()
      .withStructuredOutput(z.object({ name: z.string(), born: z.number() }))
      .invoke("Who?"),
  image: async () => {
    const parts = [
      { type: "text", text: "What is it?" },
      { type: "image_url", image_url: { url: facts.IMAGE_URL } },
    ];
    return (await model().invoke([new HumanMessage({ content: parts })])).content;
  },
  cancel: async () => {
    let count = 0;
    for await (const _ of await model().stream(facts.COUNT)) if (++count === 4) break;
    return count;
  },
  wrong_model: () => facts.errorOf(() => model("no-such-model").invoke("x")),
  wrong_key: () => facts.errorOf(() => model(facts.MODEL, "sk-wrong").invoke("x")),
});
