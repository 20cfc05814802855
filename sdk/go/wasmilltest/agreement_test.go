package wasmilltest

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"wasmill"
)

// The files that all drivers of cases agree on, with the operator that tests/guests/rust/judge is in Rust.

type judgedRow struct {
	ID    int64
	Value *float64
	At    *wasmill.Timestamp
	Site  string `wasmill:"site.name,default=nowhere"`
}

type judgedStats struct {
	N    wasmill.Null[int64]
	Last wasmill.Null[string]
}

type judged struct {
	N         int64 `wasmill:"score.n"`
	Twice     int64
	Now       wasmill.Timestamp
	Seen      *wasmill.Timestamp
	Watermark *wasmill.Timestamp
}

type judgeConfig struct{ Least float64 }

var judge = wasmill.Keyed(func(r judgedRow, s *judgedStats, cfg *judgeConfig, out *wasmill.Out[judged]) error {
	switch {
	case r.Value == nil:
		return wasmill.Reject(fmt.Sprintf("there is no value at %s", r.Site))
	case *r.Value == 99:
		return wasmill.Retry(time.Second, "not yet")
	case *r.Value == 0:
		*s = judgedStats{}
		return nil
	}
	n := s.N.V + 1
	*s = judgedStats{N: wasmill.Some(n)}
	if r.Site != "nowhere" {
		s.Last = wasmill.Some(r.Site)
	}
	made := judged{N: n, Twice: r.ID * 2, Now: out.Context().Now, Seen: r.At}
	if watermark := out.Context().Watermark; watermark != math.MinInt64 {
		made.Watermark = &watermark
	}
	if *r.Value < cfg.Least {
		out.To("low", made)
	} else {
		out.Emit(made)
	}
	return nil
}, wasmill.Ports("low"), wasmill.TTL(time.Hour))

func TestWhatAllDriversFindRightIsRight(t *testing.T) { CasesOf(t, judge, "../../cases/good.yaml") }

func TestWhatAllDriversFindWrongIsWrong(t *testing.T) {
	text, err := os.ReadFile("../../cases/bad.txt")
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Split(string(text), "\n--- ")[1:]
	if len(files) < 50 {
		t.Fatalf("there are %d files only", len(files))
	}
	for _, bad := range files {
		what, text, _ := strings.Cut(bad, "\n")
		file, err := parse("cases.yaml", []byte(text))
		if err != nil {
			continue
		}
		var differences []string
		for _, example := range file.cases {
			differences = append(differences, file.run(judge, example)...)
		}
		if len(differences) == 0 {
			t.Errorf("found right: %s", what)
		}
	}
}
