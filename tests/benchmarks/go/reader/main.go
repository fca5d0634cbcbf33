// The reader of the benchmarks: opens streams, and measures how long the first token takes, how long each token is under
// way, and how much longer the gap between two tokens was when they were read than when they were written.
//
//	reader -port N -streams 200 -warm 5 -seconds 10 ...   prints {"measuring":true} when the warm-up is over, then a result
//	reader -port N -streams 10000 -hold                   opens them, prints how many stand, and holds them until its
//	                                                      standard input ends; then prints how many were lost
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

type lines []string

func (l *lines) String() string        { return strings.Join(*l, "; ") }
func (l *lines) Set(line string) error { *l = append(*l, line); return nil }

func main() {
	var headers lines
	port := flag.Int("port", 0, "of the contender, on loopback")
	path := flag.String("path", "/v1/chat/completions", "of the route")
	body := flag.String("body", "", "of a request for a stream")
	whole := flag.String("whole", "", "of a request for a whole answer")
	streams := flag.Int("streams", 1, "at once")
	tokens := flag.Int("tokens", 0, "that a stream has to have; 0 = any number")
	warm := flag.Float64("warm", 1, "seconds before the measurement, over which the first streams are spread")
	seconds := flag.Float64("seconds", 1, "of the measurement")
	every := flag.Int("whole-every", 0, "one request in so many is for a whole answer; 0 = none")
	leave := flag.Int("leave-every", 0, "one stream in so many is left in its middle; 0 = none")
	hold := flag.Bool("hold", false, "open and hold")
	rate := flag.Float64("rate", 500, "streams a second that are opened, with -hold")
	flag.Var(&headers, "header", "Name: value (may be repeated)")
	flag.Parse()

	caller := &caller{
		address: fmt.Sprintf("127.0.0.1:%d", *port),
		stream:  request(*path, headers, *body),
		whole:   request(*path, headers, *whole),
	}
	if *hold {
		held := openAll(caller, *streams, *rate)
		say(held.standing())
		_, _ = io.Copy(io.Discard, os.Stdin)
		say(held.lost())
		return
	}
	run := newRun(caller, *tokens, *every, *leave)
	run.start(*streams, duration(*warm))
	time.Sleep(duration(*warm))
	run.measure()
	say(map[string]bool{"measuring": true})
	time.Sleep(duration(*seconds))
	say(run.result())
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func say(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// request is the bytes of one.
func request(path string, headers []string, body string) []byte {
	more := ""
	if len(headers) > 0 {
		more = strings.Join(headers, "\r\n") + "\r\n"
	}
	return []byte(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		path, more, len(body), body))
}
