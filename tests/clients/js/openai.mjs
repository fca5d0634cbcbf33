// Drives the official openai package for JavaScript through everything tests/clients asserts; prints one JSON report.
// The shape of the report is that of tests/clients/python_driver.py. Module resolution starts at CLIENTS_FOLDER.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { BASE_URL, API_KEY, NARROW_KEY, MODEL, EMBEDDINGS, CLIENTS_FOLDER } = process.env;
const require = createRequire(pathToFileURL(`${CLIENTS_FOLDER}/`));
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")));

const connect = (apiKey) => new OpenAI({ baseURL: BASE_URL, apiKey, maxRetries: 0, timeout: 60_000 });
const client = connect(API_KEY);
const messages = [{ role: "user", content: "Hello" }];
const limits = { model: MODEL, messages, max_tokens: 300, temperature: 0 };
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const question = [{ role: "user", content: "what is the weather in Paris?" }];

const counts = (usage) =>
  usage ? { prompt: usage.prompt_tokens, completion: usage.completion_tokens, total: usage.total_tokens } : null;

async function whole() {
  const { data, response } = await client.chat.completions.create(limits).withResponse();
  const [choice] = data.choices;
  return {
    text: choice.message.content,
    finish: choice.finish_reason,
    model: data.model,
    usage: counts(data.usage),
    request_id: response.headers.get("x-request-id"),
  };
}

async function streamed(extra = {}) {
  const stream = await client.chat.completions.create({ ...limits, stream: true, ...extra });
  const report = { text: "", finish: null, usage: null, chunks: 0, models: [] };
  for await (const chunk of stream) {
    report.chunks += 1;
    if (!report.models.includes(chunk.model)) report.models.push(chunk.model);
    if (chunk.usage) report.usage = counts(chunk.usage);
    for (const choice of chunk.choices) {
      report.text += choice.delta.content ?? "";
      report.finish = choice.finish_reason ?? report.finish;
    }
  }
  return report;
}

async function text() {
  const answer = await client.completions.create({ model: MODEL, prompt: "Hello", max_tokens: 8, temperature: 0 });
  return { finish: answer.choices[0].finish_reason, length: answer.choices[0].text.length, usage: counts(answer.usage) };
}

const forced = { tool_choice: { type: "function", function: { name: "get_weather" } } };

async function tools(extra = {}) {
  const answer = await client.chat.completions.create({ ...limits, messages: question, tools: [weather], ...extra });
  const [choice] = answer.choices;
  const calls = (choice.message.tool_calls ?? []).map((c) => ({ name: c.function.name, arguments: c.function.arguments }));
  return { finish: choice.finish_reason, calls };
}

async function toolsStreamed() {
  const stream = client.chat.completions.stream({ ...limits, messages: question, tools: [weather], ...forced });
  const [choice] = (await stream.finalChatCompletion()).choices;
  const calls = (choice.message.tool_calls ?? []).map((c) => ({ name: c.function.name, arguments: c.function.arguments }));
  return { finish: choice.finish_reason, calls };
}

async function afterTool() {
  const call = { id: "call_1", type: "function", function: { name: "get_weather", arguments: '{"city": "Paris"}' } };
  const conversation = [
    { role: "user", content: "what is the weather in Paris?" },
    { role: "assistant", content: null, tool_calls: [call] },
    { role: "tool", tool_call_id: "call_1", content: "18 C and sunny" },
  ];
  const answer = await client.chat.completions.create({ ...limits, messages: conversation, tools: [weather] });
  return { text: answer.choices[0].message.content, finish: answer.choices[0].finish_reason };
}

async function responses() {
  const asked = { model: MODEL, max_output_tokens: 300, temperature: 0, input: "Hello" };
  const whole = await client.responses.create(asked);
  const streamed = await client.responses.stream(asked).finalResponse();
  const more = await client.responses.create({ ...asked, previous_response_id: whole.id });
  const kept = await client.responses.retrieve(whole.id);
  const items = [];
  for await (const item of client.responses.inputItems.list(more.id)) items.push(item.type);
  await client.responses.delete(whole.id);
  return {
    text: whole.output_text,
    status: whole.status,
    streamed: streamed.output_text,
    kept: kept.output_text,
    read: more.usage.input_tokens - whole.usage.input_tokens,
    items,
  };
}

async function abandoned() {
  const stream = await client.chat.completions.create({ ...limits, stream: true });
  for await (const _ of stream) break;
  return (await whole()).finish;
}

async function embeddings() {
  const answer = await client.embeddings.create({ model: MODEL, input: ["one", "two"] });
  return { count: answer.data.length, length: answer.data[0].embedding.length, number: typeof answer.data[0].embedding[0] === "number" };
}

async function failure(attempt) {
  try {
    await attempt();
  } catch (error) {
    return {
      class: error.constructor.name,
      status: error.status ?? null,
      code: error.code ?? null,
      type: error.type ?? null,
      should_retry: error.headers?.get("x-should-retry") ?? null,
      retry_after: error.headers?.get("retry-after") ?? null,
      request_id: error.requestID ?? null,
    };
  }
  return null;
}

// One part that fails must not hide what the others found.
async function part(run) {
  try {
    return await run();
  } catch (error) {
    return { failed: String(error) };
  }
}

const stranger = connect("lgw_not-a-key");
const refuse = () => failure(() => stranger.models.list());
const report = {
  models: (await client.models.list()).data.map((m) => m.id),
  model: (await client.models.retrieve(MODEL)).id,
  whole: await part(whole),
  streamed: await part(() => streamed()),
  streamed_usage: await part(() => streamed({ stream_options: { include_usage: true } })),
  text: await part(text),
  tools: await part(() => tools()),
  forced: await part(() => tools(forced)),
  forced_streamed: await part(toolsStreamed),
  after_tool: await part(afterTool),
  responses: await part(responses),
  abandoned: await part(abandoned),
  embeddings: EMBEDDINGS === "1" ? await part(embeddings) : null,
  errors: {
    bad_request: await failure(() => client.chat.completions.create({ ...limits, max_tokens: -1 })),
    not_found: await failure(() => client.get("/nowhere")),
    hidden_model: await failure(() => connect(NARROW_KEY).chat.completions.create(limits)),
    bad_key: await refuse(),
    locked: (await refuse(), await refuse(), await refuse(), await refuse()),
  },
};
console.log(JSON.stringify(report));
