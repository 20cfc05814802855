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

	"wasmill/batch"
	"wasmill/transform"
)

func init() { transform.Export(batch.Transform{Open: open, Process: process}) }

func main() {}

var mayPanic bool

func open(config []byte, _ []batch.Field) (batch.Plan, error) {
	var settings struct {
		Panic bool `json:"panic"`
	}
	if err := json.Unmarshal(config, &settings); err != nil {
		return batch.Plan{}, err
	}
	mayPanic = settings.Panic
	made := []batch.Field{
		{Name: "wall", Kind: batch.KindTimestamp},
		{Name: "slept", Kind: batch.KindInt64},
		{Name: "random", Kind: batch.KindInt64},
		{Name: "outside", Kind: batch.KindUtf8},
	}
	return batch.Plan{
		Reads: []batch.Read{{Name: "price", Kind: batch.KindInt64}},
		Ports: []batch.Port{{Name: "out", Makes: made}},
	}, nil
}

func process(_ batch.Context, rows batch.Rows) (batch.Effects, error) {
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
	for row, price := range batch.Int64(rows.Columns[0]) {
		if mayPanic && price < 0 {
			panic(fmt.Sprintf("price %d is negative", price))
		}
		walls[row] = time.Now().UnixMicro()
		sleeps[row] = int64(slept / time.Hour)
		randoms[row] = random()
		outside[row] = lookOutside()
	}
	made := []batch.Column{
		batch.MakeInt64(walls), batch.MakeInt64(sleeps), batch.MakeInt64(randoms), batch.MakeUtf8(outside),
	}
	return batch.Effects{Emits: []batch.Emit{{All: true, Columns: made}}}, nil
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
