// Nexmark q1: dollars to euros.
package main

import (
	"wasmill"
	"wasmill/transform"
)

type Bid struct{ Price int64 }

func convert(bid Bid) Bid { return Bid{bid.Price * 908 / 1000} }

func init() { transform.Export(wasmill.Map(convert)) }

func main() {}
