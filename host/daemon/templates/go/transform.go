// The operator NAME: the temperature of each reading in Fahrenheit, beside the one in Celsius.
package main

import (
	"errors"
	"fmt"

	"wasmill"
	"wasmill/transform"
)

// Reading has the columns that the operator reads. All others pass by untouched.
type Reading struct{ Temperature float64 }

// Converted has the columns that it makes.
type Converted struct{ Fahrenheit float64 }

// Config is what `config:` of a pipeline's stage may say.
type Config struct {
	// Coldest is the least that a reading can be, in Celsius.
	Coldest float64 `wasmill:",default=-90"`
}

// Check is asked before the pipeline starts.
func (c *Config) Check() error {
	if c.Coldest < -273.15 {
		return errors.New("`coldest` is below absolute zero")
	}
	return nil
}

func convert(reading Reading, config *Config, out *wasmill.Out[Converted]) error {
	if reading.Temperature < config.Coldest {
		return wasmill.Reject(fmt.Sprintf("%v degrees are too cold to be true", reading.Temperature))
	}
	out.Emit(Converted{Fahrenheit: reading.Temperature*1.8 + 32})
	return nil
}

func init() { transform.Export(wasmill.Transform(convert)) }

func main() {}
