"""One module per kind of engine: its routes, its quirks, how its errors read. Pure; sockets are the transport's.

openai_shape.py   OpenAIShape   what they all share: bodies written anew from allow-lists
parameters.py     which parameters exist, and length, effort and tool choice in each engine's words
messages.py       content parts: text and data only, never a URL for the engine to fetch
listings.py       model lists -> Model
anthropic_shape.py  a chat body as a request of Anthropic's, for engines that have that route
ollama_shape.py     the same of Ollama's;  saying.py  what both read it with
failures.py       error answers -> UpstreamError, without a word of the engine's text
registry.py       adapter_for(kind)
offers.py         which kinds offer what, in words

openai.py  docker_model_runner.py  llama_server.py  llama_cpp_python.py  mlx_lm.py  vllm.py  ollama.py  lm_studio.py
"""
