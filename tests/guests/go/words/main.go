// Each word of the SDK once: a row says in `do` what shall become of it.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"wasmill"
	_ "wasmill/slog"
	"wasmill/transform"
)

type Row struct {
	Do    string
	Name  *string `wasmill:"site.name"`
	Count wasmill.Null[int64]
	Body  []byte
	At    wasmill.Timestamp
	Tags  *wasmill.JSON
	Ratio float64 `wasmill:"ratio,default=0.5"`
}

type Made struct {
	Label  *string `wasmill:"site.label"`
	Double wasmill.Null[int64]
	Body   []byte
	Seen   wasmill.Timestamp `wasmill:"seen.at"`
	Tags   wasmill.Null[wasmill.JSON]
	Half   bool
	Now    wasmill.Timestamp
}

type Config struct {
	Factor int64 `wasmill:"factor,default=2"`
	Label  struct {
		Prefix string `wasmill:"prefix,default=> "`
	}
}

// Check says whether the values make sense.
func (c *Config) Check() error {
	if c.Factor == 0 {
		return errors.New("factor is 0, which leaves nothing")
	}
	return nil
}

var (
	kept = wasmill.NewCounter("kept_rows", "Rows that were kept.")
	last = wasmill.NewGauge("last_ratio", "The ratio of the last row.")
)

func do(row Row, cfg *Config, out *wasmill.Out[Made]) error {
	last.Set(row.Ratio)
	made := Made{Body: row.Body, Seen: row.At, Half: row.Ratio == 0.5, Now: out.Context().Now}
	if row.Name != nil {
		label := cfg.Label.Prefix + *row.Name
		made.Label = &label
	}
	if row.Count.Valid {
		made.Double = wasmill.Some(row.Count.V * cfg.Factor)
	}
	if row.Tags != nil {
		made.Tags = wasmill.Some(*row.Tags)
	}
	switch row.Do {
	case "drop":
		return nil
	case "reject":
		out.Emit(made)
		out.To("late", made)
		return wasmill.Reject("refused as asked")
	case "error":
		return fmt.Errorf("wrapped: %w", errors.New("a plain error"))
	case "retry":
		return wasmill.Retry(250*time.Millisecond, "not yet")
	case "stop":
		return wasmill.Stop("no further")
	case "panic":
		var none []int
		fmt.Println(none[len(row.Do)])
	case "context":
		c := out.Context()
		fmt.Println("batch", c.Batch, "attempt", c.Attempt, "watermark", int64(c.Watermark), "seed", c.Seed,
			"now", int64(c.Now))
	case "log":
		wasmill.Log(wasmill.Warn, "logged: größer")
		fmt.Println("printed")
		fmt.Fprintln(os.Stderr, "complained")
		slog.Debug("structured", "count", row.Count.V)
	case "late":
		out.To("late", made)
		return nil
	case "twice":
		out.Emit(made)
	}
	kept.Add(1)
	out.Emit(made)
	return nil
}

func init() {
	carries, as := wasmill.Carries("at"), wasmill.CarriesAs("site.name", "place")
	transform.Export(wasmill.Transform(do, wasmill.Ports("late"), carries, as))
}

func main() {}
