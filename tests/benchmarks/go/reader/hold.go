package main

import (
	"errors"
	"sync"
	"time"
)

// held is a number of streams that have had their first token and wait for the next.
type held struct {
	mutex              sync.Mutex
	open, failed, gone int
	problem            string
}

// openAll opens them and waits until each has its first token or has failed.
func openAll(caller *caller, streams int, rate float64) *held {
	held := &held{}
	var waiting sync.WaitGroup
	start := time.Now()
	for n := 0; n < streams; n++ {
		if wait := time.Duration(float64(n)/rate*1e9) - time.Since(start); wait > 0 {
			time.Sleep(wait)
		}
		waiting.Add(1)
		go func() {
			line, stands := &line{caller: caller}, false
			err := line.ask(caller.stream, func(_, _ int64) bool {
				if !stands {
					stands = true
					_ = line.conn.SetReadDeadline(time.Time{})
					held.count(&held.open, nil)
					waiting.Done()
				}
				return true
			})
			if err == nil {
				err = errors.New("the stream ended")
			}
			if stands {
				held.count(&held.gone, err)
			} else {
				held.count(&held.failed, err)
				waiting.Done()
			}
		}()
	}
	waiting.Wait()
	return held
}

func (h *held) count(what *int, err error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	*what++
	if err != nil && h.problem == "" {
		h.problem = err.Error()
	}
}

func (h *held) standing() map[string]any {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return map[string]any{"open": h.open - h.gone, "failed": h.failed, "problem": h.problem}
}

func (h *held) lost() map[string]any {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return map[string]any{"lost": h.gone, "problem": h.problem}
}
