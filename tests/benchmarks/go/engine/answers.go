package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"llm-gateway/bench/clock"
)

const model = "bench"

// answers holds what is written, ready made.
type answers struct {
	models, whole, missing, open, hello, token, end, usage []byte
	at                                                     int // where in token the instant stands
}

func newAnswers() answers {
	place := strings.Repeat("0", clock.Size)
	token := event(fmt.Sprintf(`[{"index":0,"delta":{"content":%q},"finish_reason":null}]`, place), "")
	role := event(`[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]`, "")
	stop := event(`[{"index":0,"delta":{},"finish_reason":"stop"}]`, "")
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	counted := `{"prompt_tokens":11,"completion_tokens":20,"total_tokens":31}`
	return answers{
		models:  plain("200 OK", `{"object":"list","data":[{"id":"`+model+`","object":"model","created":1,"owned_by":"bench"}]}`),
		missing: plain("404 Not Found", `{"error":{"message":"no such route","type":"not_found_error"}}`),
		whole: plain("200 OK", fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":%q,"choices":`+
			`[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":%s}`, model, counted)),
		open:  append([]byte(head), role...),
		token: token,
		at:    bytes.Index(token, []byte(place)),
		usage: event("[]", `,"usage":`+counted),
		end:   stop,
		hello: event(`[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]`, ""),
	}
}

func plain(status, body string) []byte {
	return []byte(fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body))
}

// event is one server-sent event in an HTTP chunk of its own.
func event(choices, more string) []byte {
	text := fmt.Sprintf(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":%q,"choices":%s%s}`+"\n\n", model, choices, more)
	return []byte(fmt.Sprintf("%x\r\n%s\r\n", len(text), text))
}

// pace is how fast streams are: rate tokens a second each; with hold one token and then silence; with once all at once.
type pace struct {
	rate       float64
	hold, once bool
}

var errHeld = errors.New("the caller left a held stream")

// stream writes tokens at start + n/rate, whatever a write took: one that is late makes none after it late.
func (p pace) stream(conn net.Conn, reader *bufio.Reader, answers *answers, tokens int, usage bool) error {
	if p.once {
		_, err := conn.Write(answers.ended(append(append([]byte(nil), answers.open...), answers.hello...), usage))
		return err
	}
	if _, err := conn.Write(answers.open); err != nil {
		return err
	}
	token := append([]byte(nil), answers.token...)
	start := time.Now()
	for n := 0; n < tokens; n++ {
		if wait := time.Duration(float64(n)/p.rate*1e9) - time.Since(start); n > 0 && wait > 0 {
			time.Sleep(wait)
		}
		clock.Stamp(token[answers.at:], clock.Now())
		if _, err := conn.Write(token); err != nil {
			return err
		}
		if p.hold {
			_, _ = reader.Peek(1)
			return errHeld
		}
	}
	_, err := conn.Write(answers.ended(nil, usage))
	return err
}

// ended is what was written so far with a stream's end.
func (a *answers) ended(written []byte, usage bool) []byte {
	written = append(written, a.end...)
	if usage {
		written = append(written, a.usage...)
	}
	return append(written, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"...)
}
