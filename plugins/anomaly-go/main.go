// Package main is the plugin anomaly in Go: it scores each row by how many standard deviations it is from the mean of
// the rows of its key before it, and raises an alert where these are too many.
package main

import (
	"errors"
	"math"

	"wasmill"
	"wasmill/keyed"
)

// Reading is what it reads of a row.
type Reading struct {
	Value *float64
}

// Scored is what it adds to a row.
type Scored struct {
	Z *float64
}

// Stats is what is known of a key: how many values it had, their mean, and the sum of the squares of their distances
// from it.
type Stats struct {
	N        int64
	Mean, M2 float64
}

// Config is its part of the pipeline file.
type Config struct {
	Sigma        float64 `wasmill:"sigma,default=3"`
	WarmUp       int64   `wasmill:"warm_up,default=30"`
	MinDeviation float64 `wasmill:"min_deviation,default=1e-9"`
}

// Check is asked when the operator is opened.
func (c *Config) Check() error {
	switch {
	case c.Sigma <= 0:
		return errors.New("`sigma` is not above 0")
	case c.WarmUp < 2:
		return errors.New("`warm_up` is not at least 2: fewer values have no deviation")
	case c.MinDeviation <= 0:
		return errors.New("`min_deviation` is not above 0")
	}
	return nil
}

var alertRows = wasmill.NewCounter("alert_rows", "Rows that raised an alert.")

var errTooFar = errors.New("`value` is too far from the mean of its key to be counted")

// score scores a row against the rows before it; then it counts for the rows after it.
func score(reading Reading, stats *Stats, config *Config, out *wasmill.Out[Scored]) error {
	if reading.Value == nil {
		out.Emit(Scored{})
		return nil
	}
	value := *reading.Value
	switch {
	case math.IsNaN(value):
		return wasmill.Reject("`value` is NaN")
	case math.IsInf(value, 1):
		return wasmill.Reject("`value` is inf")
	case math.IsInf(value, -1):
		return wasmill.Reject("`value` is -inf")
	}
	z := stats.score(value, config.MinDeviation)
	isAlert := stats.N >= config.WarmUp && math.Abs(z) > config.Sigma
	if !stats.push(value) {
		return errTooFar
	}
	out.Emit(Scored{&z})
	if isAlert {
		out.To("alerts", Scored{&z})
		alertRows.Add(1)
	}
	return nil
}

// score is how many standard deviations a value is from the mean; 0 while fewer than two values are known.
func (s *Stats) score(value, minDeviation float64) float64 {
	if s.N < 2 {
		return 0
	}
	deviation := max(math.Sqrt(s.M2/float64(s.N-1)), minDeviation)
	return max(min((value-s.Mean)/deviation, math.MaxFloat64), -math.MaxFloat64)
}

// push counts a value, after Welford; not one that takes the numbers past what a float can hold.
func (s *Stats) push(value float64) bool {
	n := s.N + 1
	distance := value - s.Mean
	mean := s.Mean + distance/float64(n)
	m2 := s.M2 + distance*(value-mean)
	if !isFinite(mean) || !isFinite(m2) {
		return false
	}
	*s = Stats{N: n, Mean: mean, M2: m2}
	return true
}

func isFinite(value float64) bool { return !math.IsInf(value, 0) && !math.IsNaN(value) }

func init() { keyed.Export(wasmill.Keyed(score, wasmill.Ports("alerts"))) }

func main() {}
