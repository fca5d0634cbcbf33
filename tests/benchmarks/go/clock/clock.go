// Package clock reads the monotonic clock that all processes of a machine share, and writes and reads it as a token.
package clock

import (
	"bytes"
	_ "unsafe" // for go:linkname
)

// Now is in nanoseconds: CLOCK_MONOTONIC on Linux, mach_absolute_time on macOS. time.Time has it, and does not show it.
//
//go:linkname Now runtime.nanotime
func Now() int64

const (
	mark   = "@@"
	digits = 19
	// Size is the length of a token.
	Size = len(mark) + digits
)

// Stamp writes the instant as a token into the first Size bytes of place.
func Stamp(place []byte, instant int64) {
	copy(place, mark)
	for at := Size - 1; at >= len(mark); at-- {
		place[at] = byte('0' + instant%10)
		instant /= 10
	}
}

// Find reads the instant of the one token in line; false if there is none, or more than one, as where an answer's last
// event repeats all of its text.
func Find(line []byte) (int64, bool) {
	at := bytes.Index(line, []byte(mark))
	if at < 0 || len(line) < at+Size {
		return 0, false
	}
	var instant int64
	for _, digit := range line[at+len(mark) : at+Size] {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		instant = instant*10 + int64(digit-'0')
	}
	return instant, !bytes.Contains(line[at+Size:], []byte(mark))
}
