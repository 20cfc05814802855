// The operator NAME: the running mean of each key's temperatures; readings far from it also go to the port alerts.
package main

import (
	"errors"
	"fmt"
	"math"

	"wasmill"
	"wasmill/keyed"
)

// Reading has the columns that the operator reads. All others pass by untouched.
type Reading struct{ Temperature float64 }

// Stats is what is kept for each key.
type Stats struct {
	N    int64
	Mean float64
}

// Scored has the columns that it makes.
type Scored struct{ Mean float64 }

// Config is what `config:` of a pipeline's stage may say.
type Config struct {
	// Distance is how far from the mean a reading may be.
	Distance float64 `wasmill:",default=10"`
}

// Check is asked before the pipeline starts.
func (c *Config) Check() error {
	if c.Distance <= 0 {
		return errors.New("`distance` is not above 0")
	}
	return nil
}

func score(reading Reading, stats *Stats, config *Config, out *wasmill.Out[Scored]) error {
	if reading.Temperature < -90 {
		return wasmill.Reject(fmt.Sprintf("%v degrees are too cold to be true", reading.Temperature))
	}
	stats.N++
	stats.Mean += (reading.Temperature - stats.Mean) / float64(stats.N)
	if math.Abs(reading.Temperature-stats.Mean) > config.Distance {
		out.To("alerts", Scored{Mean: stats.Mean})
	}
	out.Emit(Scored{Mean: stats.Mean})
	return nil
}

func init() { keyed.Export(wasmill.Keyed(score, wasmill.Ports("alerts"))) }

func main() {}
