// What Go asks of its operating system: it prints, reads clocks, sleeps, draws random bytes and looks for files. The
// configuration {"panic": true} makes it panic on a row whose price is negative.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"wasmill"
	"wasmill/transform"
)

func init() { transform.Export(transform.Operator{Open: open, Process: process}) }

func main() {}

var mayPanic bool

func open(config []byte, _ []wasmill.Field) (wasmill.Plan, error) {
	var settings struct {
		Panic bool `json:"panic"`
	}
	if err := json.Unmarshal(config, &settings); err != nil {
		return wasmill.Plan{}, err
	}
	mayPanic = settings.Panic
	made := []wasmill.Field{
		{Name: "wall", Kind: wasmill.KindTimestamp},
		{Name: "slept", Kind: wasmill.KindInt64},
		{Name: "random", Kind: wasmill.KindInt64},
		{Name: "outside", Kind: wasmill.KindUtf8},
	}
	return wasmill.Plan{
		Reads: []wasmill.Read{{Name: "price", Kind: wasmill.KindInt64}},
		Ports: []wasmill.Port{{Name: "out", Makes: made}},
	}, nil
}

func process(_ wasmill.Context, rows wasmill.Rows) (wasmill.Effects, error) {
	fmt.Print("one line, ")
	fmt.Println("printed in two pieces")
	fmt.Fprintln(os.Stderr, "not UTF-8: \xff\xc3(\xe2\x82, but €")
	fmt.Println(strings.Repeat("ä", 600))
	fmt.Print("no end of line")
	before := time.Now()
	time.Sleep(time.Hour)
	slept := time.Since(before)
	walls, sleeps := make([]int64, rows.Count), make([]int64, rows.Count)
	randoms, outside := make([]int64, rows.Count), make([]string, rows.Count)
	for row, price := range wasmill.Int64(rows.Columns[0]) {
		if mayPanic && price < 0 {
			panic(fmt.Sprintf("price %d is negative", price))
		}
		walls[row] = time.Now().UnixMicro()
		sleeps[row] = int64(slept / time.Hour)
		randoms[row] = random()
		outside[row] = lookOutside()
	}
	made := []wasmill.Column{
		wasmill.MakeInt64(walls), wasmill.MakeInt64(sleeps), wasmill.MakeInt64(randoms), wasmill.MakeUtf8(outside),
	}
	return wasmill.Effects{Emits: []wasmill.Emit{{All: true, Columns: made}}}, nil
}

func random() int64 {
	var bytes [8]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		panic(err)
	}
	return int64(binary.LittleEndian.Uint64(bytes[:]))
}

// lookOutside says what there is of a file system, an environment and arguments: nothing, one hopes.
func lookOutside() string {
	var found []string
	if _, err := os.ReadFile("/etc/passwd"); err == nil {
		found = append(found, "a file")
	}
	if _, err := os.ReadDir("."); err == nil {
		found = append(found, "a directory")
	}
	if len(os.Environ()) > 0 {
		found = append(found, "an environment")
	}
	if len(os.Args) > 0 {
		found = append(found, "arguments")
	}
	return strings.Join(found, ", ")
}
