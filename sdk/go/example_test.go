package wasmill_test

import (
	"fmt"
	"math"

	"wasmill"
	"wasmill/wasmilltest"
)

type Reading struct {
	Sensor string
	Value  float64
	Site   *string `wasmill:"site.name"`
}

type Stats struct {
	N        int64
	Mean, M2 float64
}

type Scored struct{ Z float64 }

type Config struct {
	Sigma float64 `wasmill:"sigma,default=3"`
}

func (c *Config) Check() error {
	if c.Sigma <= 0 {
		return fmt.Errorf("sigma is %v, it must be above 0", c.Sigma)
	}
	return nil
}

// score is how far each reading is from the running mean of its sensor, in standard deviations.
func score(r Reading, s *Stats, cfg *Config, out *wasmill.Out[Scored]) error {
	if math.IsNaN(r.Value) {
		return wasmill.Reject("value is not a number")
	}
	s.N++
	away := r.Value - s.Mean
	s.Mean += away / float64(s.N)
	s.M2 += away * (r.Value - s.Mean)
	z := 0.0
	if s.M2 > 0 {
		z = away / math.Sqrt(s.M2/float64(s.N))
	}
	if math.Abs(z) > cfg.Sigma {
		out.To("alerts", Scored{z})
	}
	out.Emit(Scored{z})
	return nil
}

// A keyed operator: in its own program it is exported by keyed.Export, in an init function.
func ExampleKeyed() {
	operator := wasmill.Keyed(score, wasmill.Ports("alerts"))

	run, err := wasmilltest.Open(wasmilltest.Setting{
		Operator: operator,
		Key:      []string{"sensor"},
		Config:   wasmilltest.Row{"sigma": 1.2},
	})
	fmt.Println(err)
	result, _ := run.Process(
		wasmilltest.Row{"sensor": "a", "value": 1.0},
		wasmilltest.Row{"sensor": "a", "value": 1.0},
		wasmilltest.Row{"sensor": "a", "value": 4.0},
		wasmilltest.Row{"sensor": "b", "value": math.NaN()},
	)
	fmt.Printf("%.2f\n", result.Ports["alerts"][0]["z"])
	fmt.Println(result.Rejects)
	fmt.Println(run.State())
	// Output:
	// <nil>
	// 2.12
	// [{ row: 3, reason: "value is not a number", action: dead_letter }]
	// map[a:map[m2:6 mean:2 n:3]]
}

func ExampleMap() {
	type Bid struct{ Price int64 }
	convert := wasmill.Map(func(bid Bid) Bid { return Bid{bid.Price * 908 / 1000} })

	run, _ := wasmilltest.Open(wasmilltest.Setting{Operator: convert})
	result, _ := run.Process(wasmilltest.Row{"price": 1000, "bidder": "x"})
	fmt.Println(result.Ports["main"])
	// Output:
	// [map[bidder:x price:908]]
}

func ExampleFilter() {
	type Bid struct{ Auction int64 }
	filter := wasmill.Filter(func(bid Bid) bool { return bid.Auction%2 == 0 })

	run, _ := wasmilltest.Open(wasmilltest.Setting{Operator: filter})
	result, _ := run.Process(wasmilltest.Row{"auction": 1}, wasmilltest.Row{"auction": 2})
	fmt.Println(result.Ports["main"])
	// Output:
	// [map[auction:2]]
}

func ExampleTransform() {
	type Payment struct {
		Amount   float64
		Currency string `wasmill:"currency,default=EUR"`
	}
	type Limits struct {
		Currencies []string
	}
	route := wasmill.Transform(func(p Payment, limits *Limits, out *wasmill.Out[wasmill.Same]) error {
		for _, known := range limits.Currencies {
			if known == p.Currency {
				out.Pass()
				return nil
			}
		}
		return wasmill.Reject("unknown currency " + p.Currency)
	})

	config := wasmilltest.Row{"currencies": []string{"EUR", "USD"}}
	run, _ := wasmilltest.Open(wasmilltest.Setting{Operator: route, Config: config})
	result, _ := run.Process(wasmilltest.Row{"amount": 1.5}, wasmilltest.Row{"amount": 2.5, "currency": "JPY"})
	fmt.Println(result.Ports["main"], result.Rejects[0].Reason)

	_, err := wasmilltest.Open(wasmilltest.Setting{Operator: route, Config: wasmilltest.Row{"currency": "EUR"}})
	fmt.Println(err)
	// Output:
	// [map[amount:1.5]] unknown currency JPY
	// configuration key `currency`: unknown key; did you mean `currencies`?
}
