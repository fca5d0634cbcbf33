// The engine of the benchmarks: whole answers from memory, streams with exact pacing, each token of which is the instant
// at which it was written. It ends when its standard input does.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

func main() {
	rate := flag.Float64("rate", 50, "tokens a second of each stream")
	hold := flag.Bool("hold", false, "one token, and then nothing until the caller leaves")
	once := flag.Bool("at-once", false, "streams come at once and in one piece, with one token")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	engine := &engine{pace: pace{rate: *rate, hold: *hold, once: *once}, answers: newAnswers()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			go engine.serve(conn)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

type engine struct {
	pace    pace
	answers answers
}

// serve answers the requests of one connection, one after the other, without a limit to their number.
func (e *engine) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 4096)
	var kept []byte
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		body, err := read(request, &kept)
		if err != nil {
			return
		}
		path := request.URL.Path
		switch {
		case request.Method == http.MethodGet && strings.HasSuffix(path, "/models"):
			_, err = conn.Write(e.answers.models)
		case request.Method == http.MethodPost && strings.HasSuffix(path, "/chat/completions"):
			if says(body, "stream", "true") {
				err = e.pace.stream(conn, reader, &e.answers, asked(body), says(body, "include_usage", "true"))
			} else {
				_, err = conn.Write(e.answers.whole)
			}
		default:
			_, err = conn.Write(e.answers.missing)
		}
		if err != nil || request.Close {
			return
		}
	}
}

// read is the body of a request, in a buffer that is kept for the next one.
func read(request *http.Request, kept *[]byte) ([]byte, error) {
	if request.ContentLength < 0 {
		return io.ReadAll(request.Body)
	}
	size := int(request.ContentLength)
	if cap(*kept) < size {
		*kept = make([]byte, size)
	}
	body := (*kept)[:size]
	_, err := io.ReadFull(request.Body, body)
	return body, err
}

// says tells whether body has the member name with that value, in either of the usual spellings.
func says(body []byte, name, value string) bool {
	return bytes.Contains(body, []byte(`"`+name+`":`+value)) || bytes.Contains(body, []byte(`"`+name+`": `+value))
}

// asked is how many tokens body asks for.
func asked(body []byte) int {
	for _, name := range []string{`"max_tokens":`, `"max_completion_tokens":`} {
		if at := bytes.Index(body, []byte(name)); at >= 0 {
			tokens := 0
			for _, digit := range bytes.TrimLeft(body[at+len(name):], " ") {
				if digit < '0' || digit > '9' {
					break
				}
				tokens = tokens*10 + int(digit-'0')
			}
			return tokens
		}
	}
	return 100
}
