// Counts and sums the prices of each key, and answers every row with the count, the sum and the average so far. The
// configuration may ask for more: {"do": "forget new keys"}, {"do": "set timers"}.
package main

import (
	"bytes"
	"time"

	"wasmill/batch"
	"wasmill/keyed"
)

func init() { keyed.Export(batch.Keyed{Open: open, Process: process}) }

func main() {}

var forgets, setsTimers bool

func open(config []byte, _ []batch.Field) (batch.Plan, error) {
	forgets = bytes.Contains(config, []byte("forget new keys"))
	setsTimers = bytes.Contains(config, []byte("set timers"))
	return batch.Plan{
		Reads: []batch.Read{{Name: "price", Kind: batch.KindInt64}},
		Ports: []batch.Port{{Name: "out", Makes: []batch.Field{
			{Name: "count", Kind: batch.KindInt64},
			{Name: "sum", Kind: batch.KindInt64},
			{Name: "avg", Kind: batch.KindFloat64},
		}}},
		Tables: []batch.Table{{Name: "totals", Version: 1, TTL: time.Hour, Columns: []batch.Field{
			{Name: "n", Kind: batch.KindInt64},
			{Name: "sum", Kind: batch.KindInt64},
		}}},
	}, nil
}

func process(_ batch.Context, rows batch.KeyedRows) (batch.Step, error) {
	state := rows.Tables[0].Columns
	n, sum := batch.Int64(state[0]), batch.Int64(state[1])
	counts, sums, averages := make([]int64, rows.Count), make([]int64, rows.Count), make([]float64, rows.Count)
	for row, price := range batch.Int64(rows.Columns[0]) {
		slot := rows.Slots[row]
		n[slot]++
		sum[slot] += price
		counts[row], sums[row] = n[slot], sum[slot]
		averages[row] = float64(sum[slot]) / float64(n[slot])
	}
	made := []batch.Column{batch.MakeInt64(counts), batch.MakeInt64(sums), batch.MakeFloat64(averages)}
	changes := batch.Changes{Columns: []batch.Column{batch.MakeInt64(n), batch.MakeInt64(sum)}}
	step := batch.Step{Effects: batch.Effects{Emits: []batch.Emit{{All: true, Columns: made}}}}
	if forgets {
		changes.Forget = rows.Tables[0].Fresh
	}
	if setsTimers {
		step.Timers = []batch.Timer{{Slot: 0, What: batch.SetEventTime, Time: 1}}
	}
	step.Tables = []batch.Changes{changes}
	return step, nil
}
