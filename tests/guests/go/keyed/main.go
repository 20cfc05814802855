// Running count, sum and average of the prices of a key.
package main

import (
	"wasmill"
	"wasmill/keyed"
)

type Bid struct{ Price int64 }

type Totals struct{ N, Sum int64 }

type Running struct {
	Count, Sum int64
	Avg        float64
}

func total(bid Bid, totals *Totals, _ *wasmill.NoConfig, out *wasmill.Out[Running]) error {
	totals.N++
	totals.Sum += bid.Price
	out.Emit(Running{Count: totals.N, Sum: totals.Sum, Avg: float64(totals.Sum) / float64(totals.N)})
	return nil
}

func init() { keyed.Export(wasmill.Keyed(total)) }

func main() {}
