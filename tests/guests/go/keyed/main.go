// Counts and sums the prices of each key, and answers every row with the count, the sum and the average so far. The
// configuration may ask for more: {"do": "forget new keys"}, {"do": "set timers"}.
package main

import (
	"bytes"
	"time"

	"wasmill"
	"wasmill/keyed"
)

func init() { keyed.Export(keyed.Operator{Open: open, Process: process}) }

func main() {}

var forgets, setsTimers bool

func open(config []byte, _ []wasmill.Field) (wasmill.Plan, error) {
	forgets = bytes.Contains(config, []byte("forget new keys"))
	setsTimers = bytes.Contains(config, []byte("set timers"))
	return wasmill.Plan{
		Reads: []wasmill.Read{{Name: "price", Kind: wasmill.KindInt64}},
		Ports: []wasmill.Port{{Name: "out", Makes: []wasmill.Field{
			{Name: "count", Kind: wasmill.KindInt64},
			{Name: "sum", Kind: wasmill.KindInt64},
			{Name: "avg", Kind: wasmill.KindFloat64},
		}}},
		Tables: []wasmill.Table{{Name: "totals", Version: 1, TTL: time.Hour, Columns: []wasmill.Field{
			{Name: "n", Kind: wasmill.KindInt64},
			{Name: "sum", Kind: wasmill.KindInt64},
		}}},
	}, nil
}

func process(_ wasmill.Context, batch keyed.Batch) (keyed.Step, error) {
	state := batch.Tables[0].Columns
	n, sum := wasmill.Int64(state[0]), wasmill.Int64(state[1])
	counts, sums, averages := make([]int64, batch.Count), make([]int64, batch.Count), make([]float64, batch.Count)
	for row, price := range wasmill.Int64(batch.Columns[0]) {
		slot := batch.Slots[row]
		n[slot]++
		sum[slot] += price
		counts[row], sums[row] = n[slot], sum[slot]
		averages[row] = float64(sum[slot]) / float64(n[slot])
	}
	made := []wasmill.Column{wasmill.MakeInt64(counts), wasmill.MakeInt64(sums), wasmill.MakeFloat64(averages)}
	changes := keyed.Changes{Columns: []wasmill.Column{wasmill.MakeInt64(n), wasmill.MakeInt64(sum)}}
	step := keyed.Step{Effects: wasmill.Effects{Emits: []wasmill.Emit{{All: true, Columns: made}}}}
	if forgets {
		changes.Forget = batch.Tables[0].Fresh
	}
	if setsTimers {
		step.Timers = []keyed.Timer{{Slot: 0, What: keyed.SetEventTime, Time: 1}}
	}
	step.Tables = []keyed.Changes{changes}
	return step, nil
}
