package wasmill_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"wasmill"
	"wasmill/batch"
	"wasmill/wasmilltest"
)

func open(t *testing.T, setting wasmilltest.Setting) *wasmilltest.Run {
	t.Helper()
	run, err := wasmilltest.Open(setting)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func process(t *testing.T, run *wasmilltest.Run, rows ...wasmilltest.Row) wasmilltest.Result {
	t.Helper()
	result, err := run.Process(rows...)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func same(t *testing.T, what string, found, expected any) {
	t.Helper()
	if !reflect.DeepEqual(found, expected) {
		t.Errorf("%s: found %v, expected %v", what, found, expected)
	}
}

type Every struct {
	Flag    bool
	Count   int64
	Real    float64
	Name    string `wasmill:"site.name"`
	Body    []byte
	At      wasmill.Timestamp
	Tags    wasmill.JSON
	Note    string              `wasmill:"note,default=none"`
	Perhaps wasmill.Null[int64] `wasmill:"perhaps.it"`
	NoFlag  *bool
	NoCount *int64
	NoReal  wasmill.Null[float64]
	NoName  *string
	NoBody  wasmill.Null[[]byte]
	NoBytes *[]byte
	NoAt    *wasmill.Timestamp
	NoTags  wasmill.Null[wasmill.JSON]
}

func TestEveryKindIsWrittenAsItWasRead(t *testing.T) {
	copied := wasmill.Map(func(row Every) Every { return row }, wasmill.Carries())
	run := open(t, wasmilltest.Setting{Operator: copied})
	full := wasmilltest.Row{
		"flag": true, "count": int64(-7), "real": 0.5, "site": wasmilltest.Row{"name": "größer"},
		"body": []byte("\xff\x00"), "at": "2026-01-02T03:04:05.000006Z", "tags": `{"a":[1]}`, "note": "x",
		"perhaps": wasmilltest.Row{"it": int64(1)}, "no_flag": false, "no_count": int64(2), "no_real": 1.5,
		"no_name": "", "no_body": []byte{1}, "no_bytes": []byte{}, "no_at": "1969-12-31T23:59:59.999999Z", "no_tags": "[]",
	}
	empty := wasmilltest.Row{
		"flag": false, "count": int64(0), "real": 0.0, "site": wasmilltest.Row{"name": ""}, "body": []byte{},
		"at": "1970-01-01T00:00:00Z", "tags": "null",
	}
	found := process(t, run, full, empty, full).Ports["main"]
	empty["note"] = "none"
	same(t, "rows", fmt.Sprint(found), fmt.Sprint([]wasmilltest.Row{full, empty, full}))
	same(t, "no row", len(process(t, run).Ports), 0)
}

type Price struct{ Price int64 }

func TestARefusedRowTakesBackWhatItSent(t *testing.T) {
	split := func(row Price, _ *wasmill.NoConfig, out *wasmill.Out[Price]) error {
		out.Emit(row)
		out.To("alerts", row)
		switch row.Price {
		case 1:
			return errors.New("one is refused")
		case 2:
			return wasmill.Retry(250*time.Millisecond, "later")
		case 3:
			return fmt.Errorf("row: %w", wasmill.Stop("no further"))
		case 4:
			return nil
		}
		out.Emit(Price{-row.Price})
		return nil
	}
	operator := wasmill.Transform(split, wasmill.Ports("alerts"), wasmill.Carries("id"))
	var rows []wasmilltest.Row
	for _, price := range []int{9, 1, 2, 3, 4} {
		rows = append(rows, wasmilltest.Row{"price": price, "id": price, "other": 1})
	}
	result := process(t, open(t, wasmilltest.Setting{Operator: operator}), rows...)
	same(t, "main", fmt.Sprint(result.Ports["main"]), "[map[id:9 price:9] map[id:9 price:-9] map[id:4 price:4]]")
	same(t, "alerts", fmt.Sprint(result.Ports["alerts"]), "[map[id:9 price:9] map[id:4 price:4]]")
	same(t, "rejects", result.Rejects, []wasmilltest.Reject{
		{Row: 1, Action: "dead_letter", Reason: "one is refused"},
		{Row: 2, Action: "retry", Reason: "later"},
		{Row: 3, Action: "stop", Reason: "row: no further"},
	})
}

func TestRowsInOrderNeedNoOrigin(t *testing.T) {
	columns := []batch.Column{batch.MakeInt64([]int64{5, 60, 7})}
	keep := func(least int64) batch.Effects {
		operator := wasmill.Filter(func(row Price) bool { return row.Price >= least })
		if _, err := operator.Open([]byte("{}"), nil); err != nil {
			t.Fatal(err)
		}
		effects, err := operator.Process(batch.Context{}, batch.Rows{Count: 3, Columns: columns})
		if err != nil {
			t.Fatal(err)
		}
		return effects
	}
	same(t, "all", keep(0).Emits, []batch.Emit{{All: true, Columns: []batch.Column{}}})
	same(t, "some", keep(6).Emits, []batch.Emit{{Origin: []uint32{1, 2}, Columns: []batch.Column{}}})
	same(t, "none", len(keep(100).Emits), 0)
}

type Seen struct {
	N    int64 `wasmill:"n,default=100"`
	Last string
	Best wasmill.Null[int64]
}

func note(row Price, seen *Seen, _ *wasmill.NoConfig, out *wasmill.Out[Price]) error {
	seen.N++
	seen.Last = fmt.Sprint("was ", row.Price)
	seen.Best = wasmill.Null[int64]{V: row.Price, Valid: row.Price != 30}
	if row.Price < 0 {
		return wasmill.Reject("negative")
	}
	out.Emit(Price{seen.N})
	return nil
}

func TestARefusedRowLeavesTheStateOfItsKeyAsItWas(t *testing.T) {
	operator := wasmill.Keyed(note, wasmill.Version(2), wasmill.TTL(time.Hour), wasmill.Carries())
	run := open(t, wasmilltest.Setting{Operator: operator, Key: []string{"a", "b"}})
	row := func(a string, b, price int) wasmilltest.Row { return wasmilltest.Row{"a": a, "b": b, "price": price} }
	result := process(t, run, row("x", 1, 10), row("x", 2, 20), row("x", 1, -1), row("y", 1, -2), row("x", 2, 30))
	same(t, "rows", fmt.Sprint(result.Ports["main"]), "[map[price:101] map[price:101] map[price:102]]")
	same(t, "rejects", len(result.Rejects), 2)
	state := "map[x,1:map[best:10 last:was 10 n:101] x,2:map[last:was 30 n:102]]"
	same(t, "state", fmt.Sprint(run.State()), state)

	run.Now = run.Now.Add(59 * time.Minute)
	process(t, run, row("x", 2, 5))
	run.Now = run.Now.Add(59 * time.Minute)
	same(t, "an hour later", fmt.Sprint(run.State()), "map[x,2:map[best:5 last:was 5 n:103]]")
	process(t, run, row("x", 1, 5))
	same(t, "begun again", run.State()["x,1"]["n"], int64(101))

	plan, err := operator.Open([]byte("{}"), nil)
	same(t, "refusal", err, nil)
	same(t, "table", plan.Tables, []batch.Table{{Name: "seen", Version: 2, TTL: time.Hour, Columns: []batch.Field{
		{Name: "n", Kind: batch.KindInt64}, {Name: "last", Kind: batch.KindUtf8},
		{Name: "best", Kind: batch.KindInt64, Nullable: true},
	}}})
}

var (
	handled = wasmill.NewCounter("handled_rows", "Rows that were handled.")
	highest = wasmill.NewGauge("last_price", "The price of the last row.")
)

func TestACounterCountsACallAndAGaugeStays(t *testing.T) {
	run := open(t, wasmilltest.Setting{Operator: wasmill.Filter(func(row Price) bool {
		if row.Price > 0 {
			handled.Add(1)
		}
		if row.Price > 1 {
			highest.Set(float64(row.Price))
		}
		return true
	})})
	metrics := func(prices ...int) map[string]float64 {
		var rows []wasmilltest.Row
		for _, price := range prices {
			rows = append(rows, wasmilltest.Row{"price": price})
		}
		found := process(t, run, rows...).Metrics
		// Those of the examples are the package's, too.
		maps.DeleteFunc(found, func(name string, _ float64) bool { return name != "handled_rows" && name != "last_price" })
		return found
	}
	same(t, "first", metrics(5, 7), map[string]float64{"handled_rows": 2, "last_price": 7})
	same(t, "second", metrics(1), map[string]float64{"handled_rows": 1, "last_price": 7})
	same(t, "nothing to report", metrics(0), map[string]float64{})
}

func TestTheContextIsThatOfTheCall(t *testing.T) {
	type When struct{ Now, Watermark wasmill.Timestamp }
	operator := wasmill.Transform(func(_ struct{}, _ *wasmill.NoConfig, out *wasmill.Out[When]) error {
		out.Emit(When{out.Context().Now, out.Context().Watermark})
		return nil
	})
	run := open(t, wasmilltest.Setting{Operator: operator})
	run.Now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	run.Watermark = run.Now.Add(-time.Second)
	rows := process(t, run, wasmilltest.Row{}).Ports["main"]
	same(t, "times", fmt.Sprint(rows), "[map[now:2026-01-02T03:04:05Z watermark:2026-01-02T03:04:04Z]]")
}

func TestAPortThatIsNotThereIsNamed(t *testing.T) {
	defer func() {
		same(t, "panic", recover(), `there is no port "alert": the operator has main, alerts`)
	}()
	operator := wasmill.Transform(func(row Price, _ *wasmill.NoConfig, out *wasmill.Out[Price]) error {
		out.To("alert", row)
		return nil
	}, wasmill.Ports("alerts"))
	process(t, open(t, wasmilltest.Setting{Operator: operator}), wasmilltest.Row{"price": 1})
}

func refusal[I, T any]() string {
	operator := wasmill.Map(func(I) (made T) { return made })
	_, err := operator.Open([]byte("{}"), nil)
	return fmt.Sprint(err)
}

func TestAStructThatIsNoRowIsRefusedWithItsFieldAndWhatToDo(t *testing.T) {
	type Whole struct{ Count int }
	type Short struct{ Ratio *float32 }
	type Clock struct{ At time.Time }
	type Nested struct{ Site struct{ Name string } }
	type List struct{ Tags []string }
	type Twice struct {
		SensorID int64
		Other    int64 `wasmill:"sensor_id"`
	}
	type Hidden struct{ value float64 }
	type Wrong struct {
		Value float64 `wasmill:"value,default=high"`
	}
	type Both struct {
		Value *float64 `wasmill:"value,default=1"`
	}
	type Left struct {
		Price int64
		Cache map[string]int `wasmill:"-"`
	}
	for told, words := range map[string]string{
		refusal[Whole, Price]():  "Whole.Count has the type int, which is no column: use int64",
		refusal[Short, Price]():  "Short.Ratio has the type float32, which is no column: use float64",
		refusal[Clock, Price]():  "Clock.At has the type time.Time, which is no column: use wasmill.Timestamp",
		refusal[Nested, Price](): "by its path, as `wasmill:\"site.name\"`",
		refusal[List, Price]():   "use wasmill.JSON for arrays and objects",
		refusal[Price, Twice]():  "Twice.SensorID and Twice.Other are both the column `sensor_id`",
		refusal[Hidden, Price](): "Hidden.value is no column: begin its name with a capital, or tag it `wasmill:\"-\"`",
		refusal[Wrong, Price]():  `Wrong.Value has the default "high", which is no float64`,
		refusal[Both, Price]():   "Both.Value has a default, so it is never absent: its type is float64",
		refusal[*Price, Price](): "*wasmill_test.Price is no struct",
		refusal[Left, Price]():   "<nil>",
	} {
		if !strings.Contains(told, words) {
			t.Errorf("found %q, expected %q", told, words)
		}
	}
	twice := wasmill.Filter(func(Price) bool { return true }, wasmill.Ports("a", "a"))
	_, err := twice.Open([]byte("{}"), nil)
	same(t, "ports", fmt.Sprint(err), `there are two ports "a"`)
}

func TestATagThatIsNotUnderstoodIsRefusedWithWhatWasMeant(t *testing.T) {
	type Typo struct {
		Value float64 `wasmill:"value,defualt=3"`
	}
	type Empty struct {
		Value float64 `wasmill:"value,omitempty"`
	}
	type Bare struct {
		Value float64 `wasmill:"value,default"`
	}
	type Nameless struct {
		Value float64 `wasmill:"default=3"`
	}
	for told, words := range map[string]string{
		refusal[Typo, Price](): `Typo.Value has the tag "value,defualt=3", in which "defualt=3" is unknown; did you mean ` +
			"`default`?",
		refusal[Empty, Price]():    `in which "omitempty" is unknown; the known ones are`,
		refusal[Bare, Price]():     "in which the default has no value: write `default=` and it",
		refusal[Nameless, Price](): `where "default=" stands in the place of the name: write ",default=3"`,
	} {
		if !strings.Contains(told, words) {
			t.Errorf("found %q, expected %q", told, words)
		}
	}
}

func TestAStateIsColumnsAndNothingElse(t *testing.T) {
	type Best struct{ Best *int64 }
	keyed := wasmill.Keyed(func(Price, *Best, *wasmill.NoConfig, *wasmill.Out[Price]) error { return nil })
	_, err := keyed.Open([]byte("{}"), nil)
	if err == nil || !strings.Contains(err.Error(), "in a state use wasmill.Null") {
		t.Errorf("a pointer in a state: %v", err)
	}
	type Cached struct {
		N     int64
		Cache string `wasmill:"-"`
	}
	leaks := wasmill.Keyed(func(Price, *Cached, *wasmill.NoConfig, *wasmill.Out[Price]) error { return nil })
	_, err = leaks.Open([]byte("{}"), nil)
	if err == nil || !strings.Contains(err.Error(), "Cached.Cache is tagged `wasmill:\"-\"`, but a state is columns") {
		t.Errorf("a field of a state that is no column: %v", err)
	}
}

func TestADefaultIsForwardedAsJSON(t *testing.T) {
	type Defaults struct {
		Flag  bool              `wasmill:",default=true"`
		Count int64             `wasmill:",default=-7"`
		Real  float64           `wasmill:",default=1e21"`
		Text  string            `wasmill:",default=a, \"b\""`
		None  string            `wasmill:",default="`
		At    wasmill.Timestamp `wasmill:",default=5"`
		Tags  wasmill.JSON      `wasmill:",default=[ 1, {} ]"`
	}
	plan, err := wasmill.Filter(func(Defaults) bool { return true }).Open([]byte("{}"), nil)
	same(t, "refusal", err, nil)
	var found []string
	for _, read := range plan.Reads {
		found = append(found, read.Fallback)
	}
	same(t, "fallbacks", found, []string{"true", "-7", "1e+21", `"a, \"b\""`, `""`, "5", "[1,{}]"})
}

func TestADefaultThatIsNoJSONIsRefusedWithWhatItWouldBe(t *testing.T) {
	type One struct {
		Flag bool `wasmill:",default=1"`
	}
	type Letter struct {
		Flag bool `wasmill:",default=T"`
	}
	type Point struct {
		Real float64 `wasmill:",default=.5"`
	}
	type Endless struct {
		Real float64 `wasmill:",default=inf"`
	}
	type Plus struct {
		Count int64 `wasmill:",default=+5"`
	}
	type Broken struct {
		Count int64 `wasmill:",default=1.5"`
	}
	type Open struct {
		Tags wasmill.JSON `wasmill:",default=[1"`
	}
	for told, words := range map[string]string{
		refusal[One, Price]():     `has the default "1", which is no boolean as JSON writes it: write true`,
		refusal[Letter, Price]():  `write true`,
		refusal[Point, Price]():   `has the default ".5", which is no float64 as JSON writes it: write 0.5`,
		refusal[Endless, Price](): `Endless.Real has the default "inf", which is no float64`,
		refusal[Plus, Price]():    `write 5`,
		refusal[Broken, Price]():  `Broken.Count has the default "1.5", which is no int64`,
		refusal[Open, Price]():    `Open.Tags has the default "[1", which is no json`,
	} {
		if !strings.Contains(told, words) {
			t.Errorf("found %q, expected %q", told, words)
		}
	}
}

func TestColumnsAreCarriedUnderOtherNamesAndAStateHasTheNameThatItIsGiven(t *testing.T) {
	operator := wasmill.Keyed(note, wasmill.Carries("id"), wasmill.CarriesAs("site.name", "place"),
		wasmill.StateName("stats"))
	plan, err := operator.Open([]byte("{}"), nil)
	same(t, "refusal", err, nil)
	same(t, "carried", plan.Ports[0].Carries,
		[]batch.Carried{{Input: "id", Output: "id"}, {Input: "site.name", Output: "place"}})
	same(t, "state", plan.Tables[0].Name, "stats")
	run := open(t, wasmilltest.Setting{Operator: operator, Key: []string{"id"}})
	rows := process(t, run, wasmilltest.Row{"id": 1, "site": wasmilltest.Row{"name": "roof"}, "price": 5}).Ports["main"]
	same(t, "rows", fmt.Sprint(rows), "[map[id:1 place:roof price:101]]")
}

// What each row does is drawn: how often it is sent to which port, and whether it is refused then.
func TestEachRowThatLeavesComesFromTheRowThatSentIt(t *testing.T) {
	type Script struct{ Main, Late, Again, Bad int64 }
	type Mark struct{ Mark int64 }
	mark := int64(0)
	send := func(row Script, _ *wasmill.NoConfig, out *wasmill.Out[Mark]) error {
		mark++
		for range row.Main {
			out.Emit(Mark{mark})
		}
		for range row.Late {
			out.To("late", Mark{mark})
		}
		for range row.Again {
			out.To("main", Mark{mark})
		}
		if row.Bad != 0 {
			return errors.New("bad")
		}
		return nil
	}
	operator := wasmill.Transform(send, wasmill.Ports("late"), wasmill.Carries("id"))
	run := open(t, wasmilltest.Setting{Operator: operator})
	draw := rand.New(rand.NewPCG(7, 7))
	for round := range 500 {
		mark = 0
		var rows []wasmilltest.Row
		expected := map[string][]wasmilltest.Row{}
		for id := range draw.IntN(9) {
			// Most rows are sent once, so that calls begin in order and stop being so anywhere.
			script := [4]int{1, draw.IntN(2), 0, 0}
			if draw.IntN(4) == 0 {
				script = [4]int{draw.IntN(3), draw.IntN(3), draw.IntN(2), draw.IntN(2)}
			}
			row := wasmilltest.Row{"id": id, "main": script[0], "late": script[1], "again": script[2], "bad": script[3]}
			rows = append(rows, row)
			for range (1 - script[3]) * (script[0] + script[2]) {
				expected["main"] = append(expected["main"], wasmilltest.Row{"id": int64(id), "mark": int64(id + 1)})
			}
			for range (1 - script[3]) * script[1] {
				expected["late"] = append(expected["late"], wasmilltest.Row{"id": int64(id), "mark": int64(id + 1)})
			}
		}
		same(t, fmt.Sprint("round ", round, rows), process(t, run, rows...).Ports, expected)
	}
}
