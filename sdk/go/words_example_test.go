package wasmill_test

import (
	"fmt"
	"time"

	"wasmill"
	"wasmill/wasmilltest"
)

type Payment struct {
	Amount   float64
	Currency string
}

// show opens an operator, calls it with rows and prints what came of them.
func show(operator any, rows ...wasmilltest.Row) {
	run, err := wasmilltest.Open(wasmilltest.Setting{Operator: operator, Key: []string{"id"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := run.Process(rows...)
	fmt.Println(result.Ports, result.Rejects, err)
}

func ExampleReject() {
	check := func(p Payment, _ *wasmill.NoConfig, out *wasmill.Out[wasmill.Same]) error {
		if p.Amount <= 0 {
			return wasmill.Reject(fmt.Sprintf("the amount is %v", p.Amount))
		}
		out.Pass()
		return nil
	}
	show(wasmill.Transform(check), wasmilltest.Row{"amount": -1.5, "currency": "EUR"})
	// Output:
	// map[] [{ row: 0, reason: "the amount is -1.5", action: dead_letter }] <nil>
}

func ExampleRetry() {
	wait := func(p Payment, _ *wasmill.NoConfig, out *wasmill.Out[wasmill.Same]) error {
		if out.Context().Attempt == 0 {
			return wasmill.Retry(250*time.Millisecond, "the rates are not there yet")
		}
		out.Pass()
		return nil
	}
	show(wasmill.Transform(wait), wasmilltest.Row{"amount": 1.5, "currency": "EUR"})
	// Output:
	// map[] [{ row: 0, reason: "the rates are not there yet", action: retry }] <nil>
}

func ExampleStop() {
	known := func(p Payment, _ *wasmill.NoConfig, out *wasmill.Out[wasmill.Same]) error {
		if p.Currency != "EUR" {
			return wasmill.Stop("somebody has to say what " + p.Currency + " is worth")
		}
		out.Pass()
		return nil
	}
	show(wasmill.Transform(known), wasmilltest.Row{"amount": 1.5, "currency": "XYZ"})
	// Output:
	// map[] [{ row: 0, reason: "somebody has to say what XYZ is worth", action: stop }] <nil>
}

func ExamplePorts() {
	route := func(p Payment, _ *wasmill.NoConfig, out *wasmill.Out[wasmill.Same]) error {
		if p.Currency == "EUR" {
			out.Pass()
		} else {
			out.To("foreign", wasmill.Same{})
		}
		return nil
	}
	show(wasmill.Transform(route, wasmill.Ports("foreign")), wasmilltest.Row{"amount": 1.5, "currency": "USD"})
	// Output:
	// map[foreign:[map[amount:1.5 currency:USD]]] [] <nil>
}

// A row that leaves has these columns of the input and those of the operator's own.
func ExampleCarries() {
	type Doubled struct{ Twice float64 }
	double := func(p Payment) Doubled { return Doubled{2 * p.Amount} }
	row := wasmilltest.Row{"id": 7, "amount": 1.5, "currency": "EUR"}
	show(wasmill.Map(double), row)
	show(wasmill.Map(double, wasmill.Carries("id")), row)
	show(wasmill.Map(double, wasmill.Carries("id"), wasmill.CarriesAs("currency", "in.currency")), row)
	show(wasmill.Map(double, wasmill.Carries()), row)
	// Output:
	// map[main:[map[amount:1.5 currency:EUR id:7 twice:3]]] [] <nil>
	// map[main:[map[id:7 twice:3]]] [] <nil>
	// map[main:[map[id:7 in:map[currency:EUR] twice:3]]] [] <nil>
	// map[main:[map[twice:3]]] [] <nil>
}

func ExampleCarriesAs() {
	same := func(Payment) wasmill.Same { return wasmill.Same{} }
	operator := wasmill.Map(same, wasmill.CarriesAs("currency", "in.currency"))
	show(operator, wasmilltest.Row{"amount": 1.5, "currency": "EUR"})
	// Output:
	// map[main:[map[in:map[currency:EUR]]]] [] <nil>
}

// An hour after its last change the state of a key is forgotten.
func ExampleTTL() {
	type Count struct{ N int64 }
	count := func(_ struct{}, count *Count, _ *wasmill.NoConfig, out *wasmill.Out[Count]) error {
		count.N++
		out.Emit(*count)
		return nil
	}
	operator := wasmill.Keyed(count, wasmill.TTL(time.Hour), wasmill.StateName("counts"), wasmill.Version(2))

	run, _ := wasmilltest.Open(wasmilltest.Setting{Operator: operator, Key: []string{"id"}})
	for range 3 {
		result, _ := run.Process(wasmilltest.Row{"id": 1}, wasmilltest.Row{"id": 1})
		fmt.Println(result.Ports["main"])
		run.Now = run.Now.Add(40 * time.Minute)
	}
	run.Now = run.Now.Add(time.Hour)
	fmt.Println(run.State())
	// Output:
	// [map[id:1 n:1] map[id:1 n:2]]
	// [map[id:1 n:3] map[id:1 n:4]]
	// [map[id:1 n:5] map[id:1 n:6]]
	// map[]
}

func ExampleNull() {
	type Reading struct{ Value wasmill.Null[float64] }
	type Known struct{ Value float64 }
	fill := func(r Reading) Known { return Known{r.Value.Or(20)} }
	show(wasmill.Map(fill), wasmilltest.Row{"value": 21.5}, wasmilltest.Row{})
	fmt.Println(wasmill.Some(1.5).Valid, wasmill.Null[float64]{}.Valid)
	// Output:
	// map[main:[map[value:21.5] map[value:20]]] [] <nil>
	// true false
}

var (
	refusedRows = wasmill.NewCounter("refused_rows", "Rows that were refused.")
	levelNow    = wasmill.NewGauge("level_percent", "The level of the last row.")
)

// Metrics stand in variables of the package; a pipeline's dashboard shows them beside its own.
func ExampleNewCounter() {
	type Level struct{ Percent float64 }
	watch := func(row Level, _ *wasmill.NoConfig, out *wasmill.Out[wasmill.Same]) error {
		levelNow.Set(row.Percent)
		if row.Percent > 100 {
			refusedRows.Add(1)
			return wasmill.Reject("a level is 0 to 100")
		}
		out.Pass()
		return nil
	}
	run, _ := wasmilltest.Open(wasmilltest.Setting{Operator: wasmill.Transform(watch)})
	result, _ := run.Process(wasmilltest.Row{"percent": 140.0}, wasmilltest.Row{"percent": 40.0})
	fmt.Println(result.Metrics["refused_rows"], result.Metrics["level_percent"])
	// Output:
	// 1 40
}

// In a component this is a line of the stage's log, with its level; in go test it is a line of stderr.
func ExampleLog() {
	watch := func(p Payment) bool {
		if p.Amount > 1e6 {
			wasmill.Log(wasmill.Warn, "an unusual amount")
		}
		return true
	}
	show(wasmill.Filter(watch), wasmilltest.Row{"amount": 2e6, "currency": "EUR"})
	// Output:
	// map[main:[map[amount:2e+06 currency:EUR]]] [] <nil>
}
