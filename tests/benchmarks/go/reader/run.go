package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"llm-gateway/bench/clock"
)

// run is what all streams have found together.
type run struct {
	caller                *caller
	tokens, every, leave  int
	mutex                 sync.Mutex
	measuring             bool
	events, done, left    int64
	errors                int64
	problem               string
	first, transit, later histogram
	number                int64
}

func newRun(caller *caller, tokens, every, leave int) *run {
	return &run{caller: caller, tokens: tokens, every: every, leave: leave}
}

// start begins the streams, evenly over the time of the warm-up, so that later on they begin evenly, too. Each is
// followed by another one on the same connection, for ever.
func (r *run) start(streams int, over time.Duration) {
	for n := 0; n < streams; n++ {
		delay := time.Duration(float64(over) * float64(n) / float64(streams))
		go func() {
			time.Sleep(delay)
			line := &line{caller: r.caller}
			for {
				r.one(line)
			}
		}()
	}
}

// one asks once.
func (r *run) one(line *line) {
	r.mutex.Lock()
	r.number++
	number := r.number
	r.mutex.Unlock()
	if r.every > 0 && number%int64(r.every) == 0 {
		r.over(line.ask(line.caller.whole, func(_, _ int64) bool { return true }), r.tokens)
		return
	}
	leaves := r.leave > 0 && number%int64(r.leave) == 0
	asked, heard := clock.Now(), 0
	var written, read int64
	err := line.ask(line.caller.stream, func(sent, came int64) bool {
		heard++
		r.mutex.Lock()
		if r.measuring {
			r.events++
			r.transit.add(came - sent)
			if heard == 1 {
				r.first.add(came - asked)
			} else {
				r.later.add((came - read) - (sent - written))
			}
		}
		r.mutex.Unlock()
		written, read = sent, came
		return !leaves || heard*2 < r.tokens
	})
	r.over(err, heard)
}

// over counts an answer that has ended.
func (r *run) over(err error, heard int) {
	r.mutex.Lock()
	switch {
	case errors.Is(err, errLeft):
		r.left++
	case err == nil && (r.tokens == 0 || heard == r.tokens):
		r.done++
	default:
		r.errors++
		if r.problem == "" {
			r.problem = fmt.Sprintf("%v, after %d tokens", err, heard)
		}
		r.mutex.Unlock()
		time.Sleep(50 * time.Millisecond) // a contender that refuses is not to be flooded
		return
	}
	r.mutex.Unlock()
}

// measure ends the warm-up: what was counted so far is forgotten, but for errors.
func (r *run) measure() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.measuring, r.done, r.left = true, 0, 0
}

type result struct {
	Events  int64   `json:"events"`
	Done    int64   `json:"done"`
	Left    int64   `json:"left"`
	Errors  int64   `json:"errors"`
	Problem string  `json:"problem"`
	First   summary `json:"first"`
	Transit summary `json:"transit"`
	Later   summary `json:"later"`
}

func (r *run) result() result {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.measuring = false
	return result{
		Events: r.events, Done: r.done, Left: r.left, Errors: r.errors, Problem: r.problem,
		First: r.first.summary(), Transit: r.transit.summary(), Later: r.later.summary(),
	}
}
