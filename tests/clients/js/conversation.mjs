// What tests/clients/conversations does in Python, by the packages for JavaScript: SPEAKS says which. Prints one report.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { BASE_URL, API_KEY, NARROW_KEY, MODEL, SCRIPTED, SPEAKS, PACKAGE, CLIENTS_FOLDER } = process.env;
const require = createRequire(pathToFileURL(`${CLIENTS_FOLDER}/`));
const sdk = await import(pathToFileURL(require.resolve(PACKAGE)));
const { version } = JSON.parse(readFileSync(`${CLIENTS_FOLDER}/node_modules/${PACKAGE}/package.json`));

const scripted = SCRIPTED === "1";
const weather = "what is the weather in Paris?";
const result = "18 C and sunny";
const stay = scripted ? "say no more" : "Hello";
const after = scripted ? "after all" : "Hello";
const tool = "get_weather";
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const hello = (content) => [{ role: "user", content }];
const drain = async (stream) => {
  for await (const _ of stream);
};
const first = async (stream, wanted) => {
  for await (const event of stream) if (wanted(event)) break;
};

function chat() {
  const connect = (apiKey) => new sdk.default({ baseURL: `${BASE_URL}/v1`, apiKey, maxRetries: 0, timeout: 90_000 });
  const client = connect(API_KEY);
  const limits = { model: MODEL, max_tokens: 300, temperature: 0 };
  const tools = [{ type: "function", function: { name: tool, parameters } }];
  const tool_choice = { type: "function", function: { name: tool } };
  const open = (text) => client.chat.completions.create({ ...limits, messages: hello(text), stream: true });
  return {
    async conversation() {
      const asked = client.chat.completions.stream({ ...limits, messages: hello(weather), tools, tool_choice });
      const { message } = (await asked.finalChatCompletion()).choices[0];
      const [call] = message.tool_calls;
      const messages = [...hello(weather), message, { role: "tool", tool_call_id: call.id, content: result }];
      const answer = client.chat.completions.stream({ ...limits, messages, tools });
      let pieces = 0;
      answer.on("content", () => (pieces += 1));
      const text = (await answer.finalChatCompletion()).choices[0].message.content;
      return { call: { name: call.function.name, input: JSON.parse(call.function.arguments) }, text, pieces };
    },
    refused: () => connect(NARROW_KEY).chat.completions.create({ ...limits, messages: hello("hi") }),
    broken: async () => drain(await open("break off")),
    left: async () => first(await open(stay), (chunk) => chunk.choices[0]?.delta.content),
    after: async () =>
      (await client.chat.completions.create({ ...limits, messages: hello(after) })).choices[0].message.content,
  };
}

function responses() {
  const connect = (apiKey) => new sdk.default({ baseURL: `${BASE_URL}/v1`, apiKey, maxRetries: 0, timeout: 90_000 });
  const client = connect(API_KEY);
  const limits = { model: MODEL, max_output_tokens: 300, temperature: 0 };
  const tools = [{ type: "function", name: tool, parameters, strict: false }];
  const open = (input) => client.responses.create({ ...limits, input, stream: true });
  return {
    async conversation() {
      const tool_choice = { type: "function", name: tool };
      const asked = await client.responses.stream({ ...limits, input: weather, tools, tool_choice }).finalResponse();
      const call = asked.output.find((item) => item.type === "function_call");
      const input = [{ type: "function_call_output", call_id: call.call_id, output: result }];
      const answer = client.responses.stream({ ...limits, input, tools, previous_response_id: asked.id });
      let pieces = 0;
      answer.on("response.output_text.delta", () => (pieces += 1));
      const text = (await answer.finalResponse()).output_text;
      return { call: { name: call.name, input: JSON.parse(call.arguments) }, text, pieces };
    },
    refused: () => connect(NARROW_KEY).responses.create({ ...limits, input: "hi" }),
    broken: async () => drain(await open("break off")),
    left: async () => first(await open(stay), (event) => event.type === "response.output_text.delta"),
    after: async () => (await client.responses.create({ ...limits, input: after })).output_text,
  };
}

function messages() {
  const connect = (apiKey) => new sdk.default({ baseURL: BASE_URL, apiKey, maxRetries: 0, timeout: 90_000 });
  const client = connect(API_KEY);
  const limits = { model: MODEL, max_tokens: 300, temperature: 0 }; // not in the types of the newer wire, but sent
  const tools = [{ name: tool, input_schema: parameters }];
  const open = (text) => client.messages.create({ ...limits, messages: hello(text), stream: true });
  const words = (message) => message.content.map((block) => block.text ?? "").join("");
  return {
    async conversation() {
      const tool_choice = { type: "tool", name: tool };
      const asked = client.messages.stream({ ...limits, messages: hello(weather), tools, tool_choice });
      const { content } = await asked.finalMessage();
      const call = content.find((block) => block.type === "tool_use");
      const told = { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: result }] };
      const more = [...hello(weather), { role: "assistant", content }, told];
      const answer = client.messages.stream({ ...limits, messages: more, tools });
      let pieces = 0;
      answer.on("text", () => (pieces += 1));
      return { call: { name: call.name, input: call.input }, text: words(await answer.finalMessage()), pieces };
    },
    refused: () => connect(NARROW_KEY).messages.create({ ...limits, messages: hello("hi") }),
    broken: async () => drain(await open("break off")),
    left: async () => first(await open(stay), (event) => event.type === "content_block_delta"),
    after: async () => words(await client.messages.create({ ...limits, messages: hello(after) })),
  };
}

function ollama() {
  const connect = (key) => new sdk.Ollama({ host: BASE_URL, headers: { Authorization: `Bearer ${key}` } });
  const client = connect(API_KEY);
  const limits = { model: MODEL, options: { temperature: 0, num_predict: 300 } };
  const tools = [{ type: "function", function: { name: tool, parameters } }];
  const open = (text) => client.chat({ ...limits, messages: hello(text), stream: true });
  return {
    async conversation() {
      const calls = [];
      for await (const line of await client.chat({ ...limits, messages: hello(weather), tools, stream: true }))
        calls.push(...(line.message.tool_calls ?? []));
      const made = calls[0]?.function;
      const input = made?.arguments ?? { city: "Paris" };
      const called = { role: "assistant", content: "", tool_calls: [{ function: { name: tool, arguments: input } }] };
      const more = [...hello(weather), called, { role: "tool", tool_name: tool, content: result }];
      const pieces = [];
      for await (const line of await client.chat({ ...limits, messages: more, tools, stream: true }))
        if (line.message.content) pieces.push(line.message.content);
      return { call: made ? { name: made.name, input } : null, text: pieces.join(""), pieces: pieces.length };
    },
    refused: () => connect(NARROW_KEY).chat({ ...limits, messages: hello("hi") }),
    broken: async () => drain(await open("break off")),
    async left() {
      const stream = await open(stay);
      try {
        for await (const line of stream) if (line.message.content) stream.abort();
      } catch (error) {
        if (error.name !== "AbortError") throw error;
      }
    },
    after: async () => (await client.chat({ ...limits, messages: hello(after) })).message.content,
  };
}

async function raised(attempt) {
  try {
    await attempt();
  } catch (error) {
    return { class: error.constructor.name, status: error.status ?? error.status_code ?? null, text: error.message };
  }
  return null;
}

const talker = { chat, responses, messages, ollama }[SPEAKS]();
const report = { version, ...(await talker.conversation()), refused: await raised(talker.refused) };
if (scripted) report.broken = await raised(talker.broken);
await talker.left();
console.log(JSON.stringify({ ...report, after: await talker.after() }));
