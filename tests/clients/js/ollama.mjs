// Drives the official ollama package through everything tests/clients/test_ollama.py asserts; prints one report.
// The shape is that of tests/clients/ollama_driver.py.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { BASE_URL, API_KEY, NARROW_KEY, MODEL, EMBEDDINGS, CLIENTS_FOLDER } = process.env;
const require = createRequire(pathToFileURL(`${CLIENTS_FOLDER}/`));
const { Ollama } = await import(pathToFileURL(require.resolve("ollama")));
const { version } = JSON.parse(
  (await import("node:fs")).readFileSync(`${CLIENTS_FOLDER}/node_modules/ollama/package.json`),
);

const connect = (key) =>
  new Ollama({ host: BASE_URL.replace(/\/v1$/, ""), headers: { Authorization: `Bearer ${key}` } });
const client = connect(API_KEY);
const options = { temperature: 0, num_predict: 300, num_ctx: 4096 };
const hello = { model: MODEL, messages: [{ role: "user", content: "Hello" }], options };
const question = { role: "user", content: "what is the weather in Paris?" };
const tool = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const weather = { ...hello, messages: [question], tools: [tool] };
const written = { model: MODEL, prompt: "Hello", options };

const ending = (last) => ({
  done: last.done,
  stop: last.done_reason,
  model: last.model,
  input: last.prompt_eval_count,
  output: last.eval_count,
  took: [last.total_duration, last.load_duration, last.prompt_eval_duration ?? null, last.eval_duration],
});

async function gathered(answers) {
  let text = "";
  let last;
  const calls = [];
  for await (last of answers) {
    text += last.message?.content ?? last.response ?? "";
    for (const call of last.message?.tool_calls ?? [])
      calls.push({ name: call.function.name, input: call.function.arguments });
  }
  return last.message ? { text, calls, ...ending(last) } : { text, ...ending(last) };
}

const chat = async (request) => gathered([await client.chat(request)]);
const chatStreamed = async (request) => gathered(await client.chat({ ...request, stream: true }));

async function afterTool() {
  const call = { function: { name: "get_weather", arguments: { city: "Paris" } } };
  const messages = [
    question,
    { role: "assistant", content: "", tool_calls: [call] },
    { role: "tool", tool_name: "get_weather", content: "18 C and sunny" },
  ];
  return chat({ ...weather, messages });
}

const names = (listing) => listing.models.map((model) => model.model);

async function loaded() {
  const { done_reason } = await client.generate({ model: MODEL, prompt: "", keep_alive: "5m" });
  return { reason: done_reason, running: names(await client.ps()) };
}

async function abandoned() {
  const stream = await client.chat({ ...hello, stream: true });
  for await (const _ of stream) break;
  stream.abort();
  return chat(hello);
}

async function embedded() {
  const { embeddings } = await client.embed({ model: MODEL, input: ["a", "b"] });
  const { embedding } = await client.embeddings({ model: MODEL, prompt: "a" });
  return { vectors: embeddings.map((vector) => vector.length), vector: embedding.length };
}

async function failure(attempt) {
  try {
    for await (const _ of await attempt());
  } catch (error) {
    return { class: error.name, status: error.status_code ?? null, text: error.message };
  }
  return null;
}

async function errors() {
  const short = (from, model) => from.chat({ ...hello, model, stream: true });
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

// What the package cannot read it warns of, and goes on.
const warnings = [];
console.warn = (...words) => warnings.push(words.join(" "));

const report = {
  version,
  models: names(await client.list()),
  shown: await part(async () => ({ capabilities: (await client.show({ model: MODEL })).capabilities })),
  running: names(await client.ps()),
  whole: await part(() => chat(hello)),
  streamed: await part(() => chatStreamed(hello)),
  generated: await part(async () => gathered([await client.generate(written)])),
  generated_streamed: await part(async () => gathered(await client.generate({ ...written, stream: true }))),
  called: await part(() => chat(weather)),
  called_streamed: await part(() => chatStreamed(weather)),
  after_tool: await part(afterTool),
  loaded: await part(loaded),
  abandoned: await part(abandoned),
  embedded: EMBEDDINGS === "1" ? await part(embedded) : null,
  errors: await part(errors),
};
console.log(JSON.stringify({ ...report, warnings }));
