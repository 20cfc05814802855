package wasmill_test

import (
	"errors"
	"fmt"
	"testing"

	"wasmill"
	"wasmill/wasmilltest"
)

type named struct{ N int64 }

type seen struct{ Count int64 }

func double(row named) named { return named{row.N * 2} }

func isOdd(row named) bool { return row.N%2 == 1 }

func sort(row named, _ *wasmill.NoConfig, out *wasmill.Out[named]) error {
	switch {
	case row.N == 7:
		return wasmill.Reject("seven")
	case row.N%2 == 0:
		out.To("even", row)
	}
	for range row.N % 3 {
		out.Emit(row)
	}
	return nil
}

func count(row named, counts *seen, _ *wasmill.NoConfig, out *wasmill.Out[named]) error {
	counts.Count++
	if row.N == 7 {
		return errors.New("seven")
	}
	out.Emit(named{counts.Count})
	return nil
}

// How often one of the loops below ran.
var ran int

func loopOverDouble() {
	loop := wasmill.LoopOfMap(double)
	loop.Run = func() {
		ran++
		for row := range loop.Rows {
			loop.Made[row] = double(loop.Rows[row])
		}
	}
}

func loopOverIsOdd() {
	loop := wasmill.LoopOfFilter(isOdd)
	loop.Run = func() {
		ran++
		kept := loop.Kept[:0]
		for row := range loop.Rows {
			if isOdd(loop.Rows[row]) {
				kept = append(kept, uint32(row))
			}
		}
		loop.Kept = kept
	}
}

func loopOverSort() {
	loop := wasmill.LoopOfTransform(sort)
	loop.Run = func() {
		ran++
		for row := range loop.Rows {
			loop.Begin(row)
			if answer := sort(loop.Rows[row], loop.Config, loop.Out); answer != nil {
				loop.Refuse(answer)
			}
			if !loop.IsEach(row) {
				loop.Note()
			}
		}
	}
}

func loopOverCount() {
	loop := wasmill.LoopOfKeyed(count)
	loop.Run = func() {
		ran++
		for row := range loop.Rows {
			loop.Begin(row)
			own := &loop.States[loop.Slots[row]]
			before := *own
			if answer := count(loop.Rows[row], own, loop.Config, loop.Out); answer != nil {
				*own = before
				loop.Refuse(answer)
			}
			if !loop.IsEach(row) {
				loop.Note()
			}
		}
	}
}

// What `wasmill build` adds to an operator does as the SDK would without it.
func TestALoopThatCallsAFunctionByItsNameIsTheOneThatRuns(t *testing.T) {
	operators := map[string]struct {
		operator any
		register func()
	}{
		"Map":       {wasmill.Map(double), loopOverDouble},
		"Filter":    {wasmill.Filter(isOdd), loopOverIsOdd},
		"Transform": {wasmill.Transform(sort, wasmill.Ports("even")), loopOverSort},
		"Keyed":     {wasmill.Keyed(count), loopOverCount},
	}
	for name, each := range operators {
		results := func() string {
			setting := wasmilltest.Setting{Operator: each.operator}
			if name == "Keyed" {
				setting.Key = []string{"n"}
			}
			run := open(t, setting)
			rows := make([]wasmilltest.Row, 40)
			for i := range rows {
				rows[i] = wasmilltest.Row{"n": int64(i % 9)}
			}
			return fmt.Sprint(process(t, run, rows...), process(t, run, rows[:5]...), process(t, run))
		}
		without := results()
		same(t, name+" before there is a loop", ran, 0)
		each.register()
		same(t, name, results(), without)
		same(t, name+" with a loop", ran, 3)
		ran = 0
	}
}
