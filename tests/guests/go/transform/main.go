// Three jobs that need no state, one component: the configuration says which, {"job": "q1"}.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"wasmill"
	"wasmill/transform"
)

func init() { transform.Export(transform.Operator{Open: open, Process: process}) }

func main() {}

// job is what open has chosen.
var job func(wasmill.Rows) wasmill.Emit

func open(config []byte, _ []wasmill.Field) (wasmill.Plan, error) {
	var chosen struct {
		Job string `json:"job"`
	}
	if err := json.Unmarshal(config, &chosen); err != nil {
		return wasmill.Plan{}, fmt.Errorf("the configuration is no JSON object: %w", err)
	}
	var read, made []wasmill.Field
	switch chosen.Job {
	case "q1":
		job = convert
		read = []wasmill.Field{{Name: "price", Kind: wasmill.KindInt64}}
		made = read
	case "q2":
		job = choose
		read = []wasmill.Field{{Name: "auction", Kind: wasmill.KindInt64}}
	case "domain":
		job = domains
		read = []wasmill.Field{{Name: "url", Kind: wasmill.KindUtf8}}
		made = []wasmill.Field{{Name: "domain", Kind: wasmill.KindUtf8}}
	default:
		return wasmill.Plan{}, &wasmill.Refusal{
			Message:    fmt.Sprintf("there is no job %q: choose q1, q2 or domain", chosen.Job),
			ConfigPath: "job",
		}
	}
	reads := []wasmill.Read{{Name: read[0].Name, Kind: read[0].Kind}}
	return wasmill.Plan{Reads: reads, Ports: []wasmill.Port{{Name: "out", Makes: made}}}, nil
}

func process(_ wasmill.Context, rows wasmill.Rows) (wasmill.Effects, error) {
	return wasmill.Effects{Emits: []wasmill.Emit{job(rows)}}, nil
}

// convert makes price in another currency; a price too large wraps.
func convert(rows wasmill.Rows) wasmill.Emit {
	prices := wasmill.Int64(rows.Columns[0])
	converted := make([]int64, len(prices))
	for row, price := range prices {
		converted[row] = price * 908 / 1000
	}
	return wasmill.Emit{All: true, Columns: []wasmill.Column{wasmill.MakeInt64(converted)}}
}

// choose keeps every 123rd auction.
func choose(rows wasmill.Rows) wasmill.Emit {
	var origin []uint32
	for row, auction := range wasmill.Int64(rows.Columns[0]) {
		if auction%123 == 0 {
			origin = append(origin, uint32(row))
		}
	}
	return wasmill.Emit{Origin: origin}
}

// domains makes the domain of each url: what stands between :// and the next /.
func domains(rows wasmill.Rows) wasmill.Emit {
	urls := wasmill.Utf8(rows.Columns[0])
	made := wasmill.NewTextMaker(urls.Len(), len(rows.Columns[0].Data))
	for row := range urls.Len() {
		domain := urls.At(row)
		if scheme := bytes.Index(domain, []byte("://")); scheme >= 0 {
			domain = domain[scheme+3:]
		}
		if path := bytes.IndexByte(domain, '/'); path >= 0 {
			domain = domain[:path]
		}
		made.Append(domain)
	}
	return wasmill.Emit{All: true, Columns: []wasmill.Column{made.Column()}}
}
