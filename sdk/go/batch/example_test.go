package batch_test

import (
	"fmt"

	"wasmill/batch"
	"wasmill/wasmilltest"
)

// An operator on columns: one column in, one column out, all rows. In its own program it is exported by
// transform.Export, in an init function.
func ExampleTransform() {
	open := func(config []byte, input []batch.Field) (batch.Plan, error) {
		price := batch.Field{Name: "price", Kind: batch.KindInt64}
		return batch.Plan{
			Reads: []batch.Read{{Name: price.Name, Kind: price.Kind}},
			Ports: []batch.Port{{Name: "main", Makes: []batch.Field{price}}},
		}, nil
	}
	process := func(_ batch.Context, rows batch.Rows) (batch.Effects, error) {
		prices := batch.Int64(rows.Columns[0])
		converted := make([]int64, len(prices))
		for row, price := range prices {
			converted[row] = price * 908 / 1000
		}
		made := []batch.Column{batch.MakeInt64(converted)}
		return batch.Effects{Emits: []batch.Emit{{All: true, Columns: made}}}, nil
	}

	run, _ := wasmilltest.Open(wasmilltest.Setting{Operator: batch.Transform{Open: open, Process: process}})
	result, _ := run.Process(wasmilltest.Row{"price": 1000, "bidder": "x"}, wasmilltest.Row{"price": 500})
	fmt.Println(result.Ports["main"])
	// Output:
	// [map[bidder:x price:908] map[price:454]]
}

// State comes in as columns, a row for each key of the call, and goes out the same way.
func ExampleKeyed() {
	n := batch.Field{Name: "n", Kind: batch.KindInt64}
	open := func(config []byte, input []batch.Field) (batch.Plan, error) {
		return batch.Plan{
			Ports:  []batch.Port{{Name: "main", Makes: []batch.Field{n}}},
			Tables: []batch.Table{{Name: "counts", Version: 1, Columns: []batch.Field{n}}},
		}, nil
	}
	process := func(_ batch.Context, rows batch.KeyedRows) (batch.Step, error) {
		counts := batch.Int64(rows.Tables[0].Columns[0])
		made := make([]int64, rows.Count)
		for row, slot := range rows.Slots {
			counts[slot]++
			made[row] = counts[slot]
		}
		emit := batch.Emit{All: true, Columns: []batch.Column{batch.MakeInt64(made)}}
		return batch.Step{
			Effects: batch.Effects{Emits: []batch.Emit{emit}},
			Tables:  []batch.Changes{{Columns: []batch.Column{batch.MakeInt64(counts)}}},
		}, nil
	}

	operator := batch.Keyed{Open: open, Process: process}
	run, _ := wasmilltest.Open(wasmilltest.Setting{Operator: operator, Key: []string{"id"}})
	result, _ := run.Process(wasmilltest.Row{"id": "a"}, wasmilltest.Row{"id": "b"}, wasmilltest.Row{"id": "a"})
	fmt.Println(result.Ports["main"], run.State())
	// Output:
	// [map[id:a n:1] map[id:b n:1] map[id:a n:2]] map[a:map[n:2] b:map[n:1]]
}

func ExampleTextMaker() {
	names := batch.NewTextMaker(2, 16)
	names.AppendString("roof")
	names.Append([]byte("hall"))
	texts := batch.Utf8(names.Column())
	fmt.Println(texts.Len(), string(texts.At(0)), string(texts.At(1)))
	// Output:
	// 2 roof hall
}

func ExampleColumn_WithPresent() {
	column := batch.MakeFloat64([]float64{1.5, 0}).WithPresent([]bool{true, false})
	fmt.Println(column.IsNull(0), column.IsNull(1))
	// Output:
	// false true
}
