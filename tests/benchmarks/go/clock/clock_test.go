package clock

import (
	"strings"
	"testing"
)

func TestATokenSaysWhenItWasWritten(t *testing.T) {
	line := []byte(`{"text":"` + strings.Repeat(".", Size) + `"}`)
	before := Now()
	Stamp(line[9:], before)
	if found, ok := Find(line); !ok || found != before {
		t.Fatalf("%d, %v of %s", found, ok, line)
	}
	if Now() < before {
		t.Fatal("the clock goes backwards")
	}
}

func TestOnlyALineWithOneTokenHasAnInstant(t *testing.T) {
	token := make([]byte, Size)
	Stamp(token, 5)
	for _, line := range []string{"", "@@", "@@12", "@@000000000000000000x", string(token) + string(token)} {
		if found, ok := Find([]byte(line)); ok {
			t.Fatalf("%d of %q", found, line)
		}
	}
}
