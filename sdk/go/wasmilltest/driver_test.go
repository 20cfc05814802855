package wasmilltest

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"wasmill"
)

// first passes the first row of a key.
func first(ttl time.Duration) any {
	type Seen struct{ Seen bool }
	type Row struct{ Value *float64 }
	return wasmill.Keyed(func(_ Row, seen *Seen, _ *wasmill.NoConfig, out *wasmill.Out[wasmill.Same]) error {
		if !seen.Seen {
			out.Pass()
		}
		seen.Seen = true
		return nil
	}, wasmill.TTL(ttl))
}

func TestTimeToLiveRunsFromTheLastChangeAndAValueThatIsWhatItWasIsNone(t *testing.T) {
	run, err := Open(Setting{Operator: first(10 * time.Second), Key: []string{"id"}})
	if err != nil {
		t.Fatal(err)
	}
	var passed []int
	for _, second := range []int64{0, 9, 10, 19, 20} {
		run.Now = time.Unix(second, 0)
		result, err := run.Process(Row{"id": 1}, Row{"id": 1})
		if err != nil {
			t.Fatal(err)
		}
		passed = append(passed, len(result.Ports["main"]))
	}
	if !slices.Equal(passed, []int{1, 0, 1, 0, 1}) {
		t.Errorf("passed %v", passed)
	}
}

func TestAKeyIsNamedAsItsRowHasItAndAnAbsentOneIsNull(t *testing.T) {
	run, err := Open(Setting{Operator: first(0), Key: []string{"value", "site.id"}})
	if err != nil {
		t.Fatal(err)
	}
	site := func(id any) Row { return Row{"id": id} }
	result, err := run.Process(
		Row{"value": 1.0, "site": site("a")},
		Row{"value": 1, "site": site("a")},
		Row{"value": 2, "site": site(true)},
		Row{"value": nil, "site": site("null")},
		Row{"value": 0.1},
		Row{"value": 1e21, "site": site(int64(7))},
		Row{"value": 1.5e-7, "site": site(1e15)},
		Row{"value": -0.00002, "site": site("a,b")},
	)
	if err != nil {
		t.Fatal(err)
	}
	if passed := len(result.Ports["main"]); passed != 7 {
		t.Errorf("%d keys, expected that 1 and 1.0 are one", passed)
	}
	found := slices.Sorted(maps.Keys(run.State()))
	expected := []string{
		"-0.00002,a,b", "0.1,null", "1.0,a", "1.5e-7,1000000000000000.0", "1e21,7", "2,true", "null,null",
	}
	if !slices.Equal(found, expected) {
		t.Errorf("found %q, expected %q", found, expected)
	}
	if text := floatText(math.Inf(1)); text != "+Inf" {
		t.Error(text)
	}
}

func TestAbsentAndTheTextNullAreTwoKeys(t *testing.T) {
	run, err := Open(Setting{Operator: first(0), Key: []string{"id"}})
	if err != nil {
		t.Fatal(err)
	}
	result, err := run.Process(Row{"id": nil}, Row{"id": "null"}, Row{})
	if err != nil || len(result.Ports["main"]) != 2 {
		t.Errorf("%v, %v", result, err)
	}
}
