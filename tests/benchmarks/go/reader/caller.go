package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"llm-gateway/bench/clock"
)

// patience is how long a caller waits for the next bytes of an answer.
const patience = 60 * time.Second

// caller is how the contender is asked.
type caller struct {
	address       string
	stream, whole []byte
}

// line is one connection, kept from request to request.
type line struct {
	caller *caller
	conn   net.Conn
	reader *bufio.Reader
}

var errLeft = errors.New("left")

// ask sends a request and hands each token to heard: when it was written, and when it was read. If heard says false the
// connection is cut (errLeft). After any error the next request has a new connection.
func (l *line) ask(request []byte, heard func(written, read int64) bool) error {
	err := l.once(request, heard)
	if err != nil {
		l.close()
	}
	return err
}

func (l *line) once(request []byte, heard func(written, read int64) bool) error {
	if l.conn == nil {
		conn, err := net.DialTimeout("tcp", l.caller.address, 10*time.Second)
		if err != nil {
			return err
		}
		l.conn, l.reader = conn, bufio.NewReaderSize(conn, 4096)
	}
	if err := l.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := l.conn.Write(request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(l.reader, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 300))
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	if err := l.listen(answer.Body, heard); err != nil {
		return err
	}
	if answer.Close {
		l.close()
	}
	return nil
}

// listen reads an answer to its end. A line may come in pieces; it counts as read with its last byte.
func (l *line) listen(body io.Reader, heard func(written, read int64) bool) error {
	buffer, kept := make([]byte, 4096), 0
	for {
		size, err := body.Read(buffer[kept:])
		now := clock.Now()
		kept += size
		from := 0
		for at := kept - size; at < kept; at++ {
			if buffer[at] == '\n' {
				if written, found := clock.Find(buffer[from:at]); found && !heard(written, now) {
					return errLeft
				}
				from = at + 1
			}
		}
		kept = copy(buffer, buffer[from:kept])
		if kept == len(buffer) {
			buffer = append(buffer, make([]byte, len(buffer))...)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (l *line) close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
	l.conn = nil
}
