"""A checked head and a body -> `Call`. Pure, but for the thread that parses large bodies.

routes.py           Routes: exact (method, raw path) -> Route; dialect_of() for errors elsewhere
strict_json.py      parse(): bytes -> object that every parser reads alike; serialize(): back to our own bytes
spelling.py         which spellings of a name some decoder would take for it
fields.py           Record, check(): the known part of a document, and the names of the rest
leaves.py           kinds of value: Flag, Int, Number, Text, Choice, Never, Free
kinds.py            kinds that hold others: Array, Map, Union, Tagged; type_of()
openai_messages.py  messages, media, tools
openai_params.py    SPECS: the parameters of each operation
ranking_params.py   SPECS: the same of rerank, score, tokenize
anthropic_params.py MESSAGES_SPEC, COUNT_SPEC: the same of Anthropic's Messages
responses_params.py RESPONSES_SPEC, INPUT_TOKENS_SPEC: the same of OpenAI's Responses
ollama_params.py    SPECS: the same of Ollama's routes, by operation and form
model_runner_params.py SPECS, check_query(): the same of Docker Model Runner's own routes
intake.py           read_call(), continued(): route + document -> Call; check_content_type()
offload.py          Parser: the same beside the event loop when the body is large
"""
