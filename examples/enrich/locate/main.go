// Package main adds to each reading what the pipeline file knows of its site.
package main

import (
	"fmt"

	"wasmill"
	"wasmill/transform"
)

// Reading is what it reads of a row.
type Reading struct {
	Site string `wasmill:"site.name"`
}

// Site is what it adds to a row.
type Site struct {
	Country string  `wasmill:"site.country"`
	Limit   float64 `wasmill:"site.limit"`
}

// Entry is what the pipeline file says of a site.
type Entry struct {
	Country string
	Limit   float64
}

// Config is its part of the pipeline file: sites by name.
type Config struct {
	Sites map[string]Entry
}

func locate(reading Reading, config *Config, out *wasmill.Out[Site]) error {
	entry, known := config.Sites[reading.Site]
	if !known {
		return fmt.Errorf("the site `%s` is not in the table", reading.Site)
	}
	out.Emit(Site(entry))
	return nil
}

func init() { transform.Export(wasmill.Transform(locate)) }

func main() {}
