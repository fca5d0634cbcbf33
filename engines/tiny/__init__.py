"""The project's own tiny model: 0.9 million weights that know one page about llm-gateway by heart.

    questions.md   the page: questions, other ways to ask them, answers;   page.py reads it
    anatomy.py     sizes and tensor names of the network
    tokens.py      one token per byte plus three marks; the chat template that both servers use
    corpus.py      page → conversations to train on;   toolbox.py  the tool-calling ones;   spelling.py  noise
    network.py     the transformer, forward and backward, in numpy;   muon.py  the optimizer
    train.py       `python -m engines.tiny.train`  → checkpoint and training.json
    export.py      `python -m engines.tiny.export` → mlx/ and tiny.gguf;   tensorfile.py, gguf.py write the formats
    exam.py        does it know the page?
    check.py       `python -m engines.tiny.check`  → both exports hold the same weights, training repeats
    serve.py       the command lines that serve it with `mlx_lm.server` and `llama_cpp.server`

Only `serve.py` is used at run time, and it imports nothing but the standard library. Training needs numpy.
"""
