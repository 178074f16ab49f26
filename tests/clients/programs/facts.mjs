// What every Node.js program of this folder needs; `facts.py` is the same in Python.

const { BASE_URL, KEY, MODEL, PNG } = process.env;
export { BASE_URL, KEY, MODEL, PNG };
export const QUESTION = "What is 2+2?";
export const WEATHER = "What is the weather in Paris?";
export const COUNT = "Please count.";
export const IMAGE_URL = `data:image/png;base64,${PNG}`;
export const weather = (city) => `21 degrees in ${city}`;
export const PERSON_SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, born: { type: "integer" } },
  required: ["name", "born"],
  additionalProperties: false,
};
export const WEATHER_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

/** The class and the public fields of what the call throws. */
export async function errorOf(call) {
  try {
    await call();
  } catch (error) {
    return {
      class: error.constructor.name,
      status_code: error.status ?? error.statusCode ?? null,
      code: error.code ?? error.data?.error?.code ?? null,
      param: error.param ?? error.data?.error?.param ?? null,
      request_id: error.requestID ?? null,
    };
  }
  return { class: null };
}

/** Run each and print what it returned, as one JSON object. */
export async function report(tried) {
  const received = {};
  for (const [name, attempt] of Object.entries(tried)) received[name] = await attempt();
  process.stdout.write(JSON.stringify(received));
}
