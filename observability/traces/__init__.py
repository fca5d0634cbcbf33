"""Traces: one request as a few spans, made when it is over and only if it is kept.

context.py     traceparent and tracestate: read strictly, written; pure
trust.py       whose context counts at a listener; pure
sampling.py    which traces are kept: by ratio before the engine is asked, and what matters at the end; pure
attributes.py  what a span says of a request; pure
spans.py       an exchange -> its spans as tuples; pure
tracer.py      Tracer   gives an exchange its place in a trace, and hands on the spans of those that are kept
"""
