// A walk through every part of the contract for operators without state: each kind, null and fallback, several ports,
// carried columns, origins in any order, refused rows, faults, metrics, the log.
package main

import (
	"wasmill"
	"wasmill/batch"
	"wasmill/transform"
)

func init() { transform.Export(batch.Transform{Open: open, Process: process}) }

func main() {}

func open(_ []byte, input []batch.Field) (batch.Plan, error) {
	for _, field := range input {
		if field.Name == "old" {
			return batch.Plan{}, &batch.Refusal{Message: "drop the field `old`", Field: "old"}
		}
	}
	return batch.Plan{
		Reads: []batch.Read{
			{Name: "flag", Kind: batch.KindBoolean, Nullable: true},
			{Name: "amount", Kind: batch.KindFloat64, Fallback: "0.5"},
			{Name: "blob", Kind: batch.KindBytes, Nullable: true},
			{Name: "at", Kind: batch.KindTimestamp},
		},
		Ports: []batch.Port{
			{Name: "same", Makes: []batch.Field{
				{Name: "flag", Kind: batch.KindBoolean, Nullable: true},
				{Name: "amount", Kind: batch.KindFloat64},
				{Name: "blob", Kind: batch.KindBytes, Nullable: true},
				{Name: "at", Kind: batch.KindTimestamp},
				{Name: "note", Kind: batch.KindJSON},
			}},
			{Name: "twice", Carries: []batch.Carried{{Input: "at", Output: "seen.at"}}},
			{Name: "count", Carries: []batch.Carried{}, Makes: []batch.Field{{Name: "rows", Kind: batch.KindInt64}}},
		},
		Metrics: []batch.Metric{
			{Name: "seen_rows", Kind: "counter", Help: "Rows seen."},
			{Name: "last_amount", Kind: "gauge", Help: "The last amount."},
		},
	}, nil
}

// Amounts that mean something: below zero, the row is refused.
const (
	deadLetter = -1
	retry      = -2
	stop       = -3
	fault      = -4
)

func process(_ batch.Context, rows batch.Rows) (batch.Effects, error) {
	wasmill.Log(wasmill.Warn, "tour: größer")
	var same, twice []uint32
	var flags, hasFlag, hasBlob []bool
	var amounts []float64
	var times []int64
	var notes []string
	var rejects []batch.Reject
	blobs := batch.NewTextMaker(rows.Count, len(rows.Columns[2].Data))
	flag, blob := batch.Boolean(rows.Columns[0]), batch.Utf8(rows.Columns[2])
	at, last := batch.Int64(rows.Columns[3]), 0.0
	for row, amount := range batch.Float64(rows.Columns[1]) {
		number := uint32(row)
		last = amount
		switch amount {
		case deadLetter:
			rejects = append(rejects, batch.Reject{Row: number, Reason: "amount is negative"})
			continue
		case retry:
			again := batch.Reject{Row: number, Action: batch.Retry, RetryMillis: 250, Reason: "not yet"}
			rejects = append(rejects, again)
			continue
		case stop:
			rejects = append(rejects, batch.Reject{Row: number, Action: batch.Stop, Reason: "no further"})
			continue
		case fault:
			return batch.Effects{}, &batch.Fault{Message: "amount is -4", Row: number}
		}
		same = append(same, number)
		twice = append([]uint32{number, number}, twice...)
		flags, hasFlag = append(flags, flag[row]), append(hasFlag, !rows.Columns[0].IsNull(row))
		amounts, times = append(amounts, amount), append(times, at[row])
		blobs.Append(blob.At(row))
		hasBlob, notes = append(hasBlob, !rows.Columns[2].IsNull(row)), append(notes, `{"tour":[1]}`)
	}
	made := []batch.Column{
		batch.MakeBoolean(flags).WithPresent(hasFlag), batch.MakeFloat64(amounts),
		blobs.Column().WithPresent(hasBlob), batch.MakeInt64(times), batch.MakeUtf8(notes),
	}
	emits := []batch.Emit{{Port: 0, Origin: same, Columns: made}, {Port: 1, Origin: twice}}
	if len(same) > 0 {
		total := batch.MakeInt64([]int64{int64(len(same))})
		emits = append(emits, batch.Emit{Port: 2, Origin: same[:1], Columns: []batch.Column{total}})
	}
	return batch.Effects{Emits: emits, Rejects: rejects, Metrics: []float64{float64(rows.Count), last}}, nil
}
