// Drives the official @anthropic-ai/sdk through everything tests/clients/test_anthropic.py asserts; prints one report.
// The shape is that of tests/clients/anthropic_driver.py. PACKAGE says which of the installed versions.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { BASE_URL, API_KEY, NARROW_KEY, MODEL, CLIENTS_FOLDER, PACKAGE } = process.env;
const require = createRequire(pathToFileURL(`${CLIENTS_FOLDER}/`));
const { default: Anthropic } = await import(pathToFileURL(require.resolve(PACKAGE)));
const { version } = require(`${CLIENTS_FOLDER}/node_modules/${PACKAGE}/package.json`);

const connect = (apiKey) =>
  new Anthropic({ baseURL: BASE_URL.replace(/\/v1$/, ""), apiKey, maxRetries: 0, timeout: 60_000 });
const client = connect(API_KEY);
const hello = { model: MODEL, max_tokens: 300, temperature: 0, messages: [{ role: "user", content: "Hello" }] };
const tool = {
  name: "get_weather",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const question = { role: "user", content: "what is the weather in Paris?" };
const weather = { ...hello, messages: [question], tools: [tool], tool_choice: { type: "tool", name: "get_weather" } };

const told = (message) => ({
  text: message.content.filter((b) => b.type === "text").map((b) => b.text).join(""),
  calls: message.content.filter((b) => b.type === "tool_use").map((b) => ({ name: b.name, input: b.input })),
  stop: message.stop_reason,
  model: message.model,
  input: message.usage.input_tokens + (message.usage.cache_read_input_tokens ?? 0),
  output: message.usage.output_tokens,
});

const whole = async () => told(await client.messages.create(hello));

async function streamed() {
  const kinds = [];
  const stream = client.messages.stream(hello);
  stream.on("streamEvent", (event) => kinds.includes(event.type) || kinds.push(event.type));
  return { ...told(await stream.finalMessage()), kinds };
}

const called = async () => told(await client.messages.create(weather));
const calledStreamed = async () => told(await client.messages.stream(weather).finalMessage());

async function afterTool() {
  const call = { type: "tool_use", id: "toolu_1", name: "get_weather", input: { city: "Paris" } };
  const result = { type: "tool_result", tool_use_id: "toolu_1", content: "18 C and sunny" };
  const messages = [question, { role: "assistant", content: [call] }, { role: "user", content: [result] }];
  return told(await client.messages.create({ ...hello, messages, tools: [tool], system: "Be kind." }));
}

async function counted() {
  const { model, messages } = hello;
  return { input_tokens: (await client.messages.countTokens({ model, messages })).input_tokens };
}

async function abandoned() {
  for await (const _ of await client.messages.create({ ...hello, stream: true })) break;
  return whole();
}

async function failure(attempt) {
  try {
    await attempt();
  } catch (error) {
    return {
      class: error.constructor.name,
      status: error.status ?? null,
      type: error.error?.error?.type ?? null,
      request_id: error.requestID ?? null,
    };
  }
  return null;
}

async function errors() {
  const short = (from, model) => from.messages.create({ ...hello, model, max_tokens: 4 });
  return {
    bad_request: await failure(() => short(client, "no model at all")),
    hidden_model: await failure(() => short(connect(NARROW_KEY), MODEL)),
    bad_key: await failure(() => short(connect(`lgw_nobody_${"x".repeat(43)}`), MODEL)),
  };
}

async function part(run) {
  try {
    return await run();
  } catch (error) {
    return { failed: `${error.constructor.name}: ${error.message}` };
  }
}

const models = [];
for await (const model of client.models.list()) models.push(model.id);
console.log(
  JSON.stringify({
    version,
    models,
    model: (await client.models.retrieve(MODEL)).id,
    whole: await part(whole),
    streamed: await part(streamed),
    called: await part(called),
    called_streamed: await part(calledStreamed),
    after_tool: await part(afterTool),
    counted: await part(counted),
    abandoned: await part(abandoned),
    errors: await part(errors),
  }),
);
